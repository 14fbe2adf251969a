-- What sysbench runs: PEERS_STATEMENT, prepared once on each connection, for one key of the million after the other.
local KEYS = 1000000

function thread_init()
    connection = sysbench.sql.driver():connect()
    statement = connection:prepare(os.getenv("PEERS_STATEMENT"))
    key = statement:bind_create(sysbench.sql.type.BIGINT)
    statement:bind_param(key)
end

function event()
    key:set(sysbench.rand.uniform(1, KEYS))
    statement:execute()
end
