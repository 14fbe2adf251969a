-- wrk posts the same live call again and again. Every answer must say "ok": business outcomes are status 200 too.
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

function response(status, headers, body)
    if status ~= 200 or not body:find('"outcome":"ok"', 1, true) then
        failed = failed + 1
    end
end

-- One line: calls, seconds, p50 and p99 in milliseconds, failed calls.
function done(summary, latency)
    local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    for _, thread in ipairs(threads) do
        failed = failed + thread:get("failed")
    end
    print(string.format("RESULT %d %.3f %.3f %.3f %d", summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))
end
