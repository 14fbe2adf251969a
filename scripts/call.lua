-- wrk posts the same live call again and again. With CALL_CHECK=1 every answer must say "ok", since business outcomes
-- are status 200 too; looking at each takes wrk as long as sending it, so what is measured goes without.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BINDERY_KEY")
wrk.body = os.getenv("CALL_BODY")

local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init()
    failed = 0
end

if os.getenv("CALL_CHECK") == "1" then
    function response(status, headers, body)
        if status ~= 200 or not body:find('"outcome":"ok"', 1, true) then
            failed = failed + 1
        end
    end
end

-- One line: calls, seconds, p50 and p99 in milliseconds, failed calls, bytes of an answer.
function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
    for _, thread in ipairs(threads) do
        failed = failed + thread:get("failed")
    end
    print(string.format("RESULT %d %.3f %.3f %.3f %d %.1f", summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed, summary.bytes / summary.requests))
end
