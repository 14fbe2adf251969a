# A row for each contender: the middle of its rounds, and beside it the middle of each round's ratio to the floor and to
# the best peer of that round.
def middle: map(select(. != null)) | sort | if length == 0 then null else .[(length - 1) / 2 | floor] end;
def is_peer: .contender | IN("toolbox", "toolbox-mcp", "dbhub");
def rounded($digits): if . == null then "-" else pow(10; $digits) as $unit | (. * $unit | round) / $unit end;
def over($other): if . == null or $other == null or $other == 0 then null else . / $other end;

def place($order): . as $name | $order | index($name);

group_by([(.engine | place(["postgres", "mysql"])), .clients])[] | . as $cell
| group_by([(.contender | place(["floor", "call", "mcp", "toolbox", "toolbox-mcp", "dbhub"])), .tools])[]
| map(. as $own
    | ($cell | map(select(.round == $own.round))) as $round
    | ($round | map(select(is_peer and .tools == $own.tools))) as $peers
    | . + {
        ofFloor: (.callsPerSecond | over($round | map(select(.contender == "floor"))[0].callsPerSecond)),
        ofPeer: (.callsPerSecond | over([$peers[].callsPerSecond | values] | max)),
        cpuOfPeer: (.ownCpuUs | over([$peers[].ownCpuUs | values] | min))
    }) as $rounds
| $rounds[0] + ([$rounds[] | to_entries[] | select(.key | IN("engine", "contender", "tools", "clients", "round") | not)]
    | group_by(.key) | map({key: .[0].key, value: (map(.value) | middle)}) | from_entries)
| [.engine, .clients, .contender, .tools, (.ownCpuUs | rounded(0)), (.callsPerSecond | rounded(0)), (.p50Ms | rounded(2)),
    (.p99Ms | rounded(1)), (.databaseCpuUs | rounded(0)), (.residentMiB | rounded(0)), (.ofFloor | rounded(2)),
    (.ofPeer | rounded(2)), (.cpuOfPeer | rounded(2))]
| map(tostring) | join(" ")
