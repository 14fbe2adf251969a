-- wrk posts PEERS_BODY again and again, each time with another KEY of the million. With PEERS_CHECK=1 every answer must
-- hold the row of the key that was asked for, which takes one connection, and one is sent every PEERS_PAUSE ms; looking at
-- each answer takes wrk as long as sending it, so what is measured goes without.
local KEYS = 1000000
-- Requests made beforehand, so that wrk takes no core from what it measures.
local MADE = 20000

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["MCP-Protocol-Version"] = "2025-11-25"
if os.getenv("PEERS_KEY") ~= "" then
    wrk.headers["Authorization"] = "Bearer " .. os.getenv("PEERS_KEY")
end

local threads = {}
local requests, keys, sent = {}, {}, 0

function setup(thread)
    table.insert(threads, thread)
    thread:set("seed", os.time() + 7919 * #threads)
end

function init()
    failed, wrong = 0, ""
    math.randomseed(seed)
    local body = os.getenv("PEERS_BODY")
    for at = 1, MADE do
        keys[at] = math.random(1, KEYS)
        requests[at] = wrk.format(nil, nil, nil, (body:gsub("KEY", keys[at])))
    end
end

function request()
    sent = sent % MADE + 1
    return requests[sent]
end

if os.getenv("PEERS_CHECK") == "1" then
    local pause = tonumber(os.getenv("PEERS_PAUSE"))

    function delay()
        return pause
    end

    function response(status, headers, body)
        local key = keys[sent]
        local row = { "Customer " .. key, "customer" .. key .. "@example%.com", "%+4930" .. key, "City " .. key % 500 }
        local right = status == 200
        for _, value in ipairs(row) do
            right = right and body:find(value .. "%D")
        end
        if not right then
            failed = failed + 1
            wrong = body
        end
    end
end

-- One line: calls, seconds, p50 and p99 in milliseconds, failed calls, bytes of an answer. Then a wrong answer, if any.
function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
    for _, thread in ipairs(threads) do
        failed = failed + thread:get("failed")
        if thread:get("wrong") ~= "" then
            print("WRONG " .. thread:get("wrong"))
        end
    end
    print(string.format("RESULT %d %.3f %.3f %.3f %d %.1f", summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed, summary.bytes / summary.requests))
end
