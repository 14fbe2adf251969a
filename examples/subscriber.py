#!/usr/bin/env python3
"""Follows an organization's events and never misses or repeats one, however often it is cut off.

    BINDERY_URL=http://127.0.0.1:8480 BINDERY_KEY=flowyte_sk_live_… python3 subscriber.py position.txt

The position is written after an event was handled, so an event is handled again when the program dies in between:
whatever handles events must bear that. A whole number as second argument ends it after so many events.
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request

position_file = sys.argv[1]
left = int(sys.argv[2]) if len(sys.argv) > 2 else None


def handle(event):
    print(event["seq"], event["type"], event["actor"]["id"], flush=True)


def position():
    try:
        with open(position_file) as file:
            return file.read()
    except FileNotFoundError:
        return "0"


while left is None or left > 0:
    headers = {"Authorization": "Bearer " + os.environ["BINDERY_KEY"], "Last-Event-ID": position()}
    request = urllib.request.Request(os.environ["BINDERY_URL"] + "/api/v1/events/stream", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as stream:
            for line in map(bytes.decode, stream):
                if line.startswith("data: "):
                    event = json.loads(line[len("data: "):])
                    handle(event)
                    with open(position_file + ".new", "w") as file:
                        file.write(str(event["seq"]))
                    os.replace(position_file + ".new", position_file)
                    left = left and left - 1
                    if left == 0:
                        break
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code}: {error.read().decode()}")
    except (OSError, EOFError) as error:
        print("cut off:", error, file=sys.stderr)
    time.sleep(0 if left == 0 else 1)
