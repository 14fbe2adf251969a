//! Every limit: value, unit, and why it is what it is.

use std::time::Duration;

/// Events of one commit. A DynamoDB transaction holds 100 items.
pub const COMMIT_EVENTS: usize = 100;
/// Bytes of one commit's events. A DynamoDB item holds 400 KB; half of it leaves room for the rest.
pub const COMMIT_BYTES: usize = 256 * 1024;

/// Rows that a skill answers with when its author names no number: what a voice can read out.
pub const ROWS_DEFAULT: u32 = 5;
/// Rows that a skill may answer with.
pub const ROWS_MAX: u32 = 100;
/// Bytes of an answer's rows as JSON: beyond it a model reads slower than a caller waits.
pub const RESULT_BYTES: usize = 64 * 1024;

/// How long a live statement may run unless the call says less.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a live statement may run whatever the call says.
pub const STATEMENT_TIMEOUT_HARD: Duration = Duration::from_secs(20);
/// The first wait before a database is asked again about a write whose end nobody saw; each next one doubles.
pub const DOUBT_ASKED_AGAIN: Duration = Duration::from_millis(200);
/// The longest of these waits: a database that is back is asked long before a minute is over.
pub const DOUBT_ASKED_AGAIN_MAX: Duration = Duration::from_secs(10);
/// Writes in doubt that one process asks about side by side.
pub const DOUBTS_ASKED_AT_ONCE: usize = 8;
/// How long a statement waits for another's lock. A caller hears silence meanwhile.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Levels of verified identity: more than three no author of a skill tells apart.
pub const IDENTITY_LEVELS: u8 = 3;
/// Distinct keys that one call may look up in vain. Who misspells a name or mishears a number needs two or three.
pub const MISSES_PER_CALL: u32 = 5;
/// The same for one caller, however often they call, within [`CALLER_MISSES_KEPT`]: a family or a small office may share
/// a number.
pub const MISSES_PER_CALLER: u32 = 20;
/// What an operator may set both to: beyond it nothing is held back that is worth guessing.
pub const MISSES_MAX: usize = 1000;
/// How long a call's misses count: no call lasts longer.
pub const CALL_MISSES_KEPT: Duration = Duration::from_secs(4 * 3600);
/// How long a caller's misses count, from the first on.
pub const CALLER_MISSES_KEPT: Duration = Duration::from_secs(3600);
/// Calls and callers whose misses a process remembers: with one or two each, which most have, some 2 MB.
pub const MISS_BUDGETS_REMEMBERED: usize = 10_000;

/// Dialling, TLS and login of one database connection, each phase with its own clock.
pub const CONNECT_PHASE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that a database server may send between two statements' ends, twice that where several share a connection; a
/// hostile one sends without end.
pub const SOCKET_BUDGET_BYTES: u64 = 16 * 1024 * 1024;
/// The same while a schema is read: 10,000 tables of 20 columns are about 60 MB on the wire.
pub const DISCOVERY_BUDGET_BYTES: u64 = 1024 * 1024 * 1024;
/// All of a discovery.
pub const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(120);
/// Between two signs of life of a discovery that another function runs.
pub const DISCOVERY_SIGN: Duration = Duration::from_secs(5);
/// After this a discovery answers 202 and goes on; the gateway cuts at 29 s.
pub const DISCOVERY_ANSWER_AFTER: Duration = Duration::from_secs(5);

/// Connections to one customer database, reads and writes together. Small databases allow 20.
pub const POOL_SIZE: usize = 10;
/// Reads that are sent on one connection before the first of them is answered.
pub const READS_AT_ONCE: usize = 32;
/// How long a call waits for its turn.
pub const POOL_WAIT: Duration = Duration::from_millis(300);
/// Calls that wait for theirs, however fast it goes: so many are served in that time when each takes three milliseconds.
pub const POOL_LINE: usize = 1000;
/// An idle connection is closed after this.
pub const POOL_IDLE: Duration = Duration::from_secs(300);

/// Names in one error's `nearest`, and in the capped lists of a discovery's changes.
pub const NEAREST: usize = 3;
pub const CHANGES_LISTED: usize = 50;

/// Bytes of a request body.
pub const BODY_BYTES: usize = 1024 * 1024;
/// Page sizes.
pub const PAGE_DEFAULT: u32 = 20;
pub const PAGE_MAX: u32 = 100;
/// How long answers to idempotent requests are kept.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a client of the Model Context Protocol may go on with a list of tools: what it calls is judged anyway, and
/// a tool that it does not know yet waits so long at most.
pub const TOOLS_FRESH: Duration = Duration::from_secs(60);
/// Values of all enums of one tool, and their bytes together: OpenAI's strict mode takes 1,000, and 15,000 characters of
/// an enum that is long. What has more is told without strict mode.
pub const STRICT_ENUM_VALUES: usize = 1000;
pub const STRICT_ENUM_BYTES: usize = 15_000;
/// Parameters of one skill: more than this no model fills reliably.
pub const INPUTS_MAX: usize = 50;
/// Requests per second, and the burst above it, of one key and of one organization.
pub const RATE_PER_KEY: u32 = 1000;
pub const RATE_PER_ORGANIZATION: u32 = 5000;
/// Values of one answer's row: more than this no voice reads out, and the engines' own limits are far away.
pub const PROJECTION_MAX: usize = 100;
/// Relationships that one read follows. MySQL joins at most 61 tables.
pub const JOINS_MAX: usize = 16;
/// Digits of a decimal whose column sets no limit.
pub const DECIMAL_DIGITS: usize = 1000;
/// Connections that a generated account may hold: two pools, while credentials are rotated.
pub const ACCOUNT_CONNECTIONS: usize = 2 * POOL_SIZE;
/// What one organization may hold: its state is kept in memory, and every commit copies the maps' pointers.
pub const AGENTS_MAX: usize = 1000;
pub const KEYS_MAX: usize = 1000;
/// Skills of one agent: far more than a model chooses among reliably.
pub const SKILLS_MAX: usize = 500;
/// Names in one scoping, so that the event that records it fits a commit.
pub const SCOPING_NAMES_MAX: usize = 2000;
/// Errors listed in one answer: the first hundred are enough to see what went wrong.
pub const ERRORS_LISTED: usize = 100;
/// Characters of a tool name as given, and of a description.
pub const NAME_CHARS: usize = 100;
pub const DESCRIPTION_CHARS: usize = 1000;
/// Bytes of a constant in a binding.
pub const CONSTANT_BYTES: usize = 4096;
/// How long a request's headers, and then its body, may take to arrive.
pub const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long running requests may go on after the server was told to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);
/// Connections to one customer database that bindings, tests and discoveries may hold beside the pool.
pub const MANAGEMENT_CONNECTIONS: usize = 2;
/// Discoveries that run in one process at once: each may hold a whole schema in memory.
pub const DISCOVERIES_MAX: usize = 4;

/// One attempt of a call to AWS, from its dial to its answer. DynamoDB and KMS answer in 10 ms; beyond this the
/// packet or the host is lost and another attempt is faster.
pub const AWS_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(400);
/// A call to AWS with all its attempts: a caller hears silence meanwhile.
pub const AWS_OPERATION_TIMEOUT: Duration = Duration::from_millis(1500);
pub const AWS_ATTEMPTS: u32 = 3;
/// The first wait between attempts is drawn below this, the next below its double.
pub const AWS_BACKOFF: Duration = Duration::from_millis(50);
/// A warm function confirms an organization's head when it was last confirmed longer ago than this.
pub const HEAD_FRESH: Duration = Duration::from_secs(5);
/// How long the state in memory is served after its head was last confirmed, when the log cannot be reached. Beyond
/// that a revoked key might be taken.
pub const HEAD_TRUSTED: Duration = Duration::from_secs(60);
/// Aggregates in memory of one function, of all organizations that it has served: a skill with its statement is some
/// 4 KB, and 512 MB are the least that a function has.
pub const AGGREGATES_IN_MEMORY: usize = 40_000;
/// How long an unwrapped data key stays in memory.
pub const DATA_KEY_KEPT: Duration = Duration::from_secs(300);
/// Data keys in memory of one process: far more than one function serves organizations in that time.
pub const DATA_KEYS_MAX: usize = 1000;
/// A secret of Secrets Manager is read again no sooner than this: wrong API keys must not hammer it.
pub const SECRETS_REREAD: Duration = Duration::from_secs(60);
/// Without a sign of life for this long a discovery was given up: its worker died. A worker gives one several times in
/// that time.
pub const DISCOVERY_LEASE: Duration = Duration::from_secs(60);
/// How long a discovery waits for a worker behind others before it is given up.
pub const DISCOVERY_QUEUED: Duration = Duration::from_secs(15 * 60);
/// How long a discovery's result can be asked for.
pub const DISCOVERY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Bytes of an artefact that DynamoDB holds; larger ones go to S3.
pub const ARTEFACT_INLINE_BYTES: usize = 64 * 1024;
/// A stream of events ends after this; its client resumes where it was.
pub const STREAM_ENDS_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Organizations whose views a sweep looks at side by side: most of the time it waits for answers.
pub const SWEPT_AT_ONCE: usize = 8;
/// Silence on a stream of events. Proxies give a connection up after 30 to 60 s.
pub const STREAM_HEARTBEAT: Duration = Duration::from_secs(15);
/// Streams of one organization that one process serves at once.
pub const STREAMS_MAX: usize = 50;
/// Events read at once for a stream: at most a commit's worth is in memory for a client that does not read.
pub const STREAM_BATCH: usize = 100;
/// How often a log that cannot tell of news by itself is asked for them.
pub const HEAD_POLL: Duration = Duration::from_secs(1);
/// Entries and bytes of one request to an event bus, which are EventBridge's.
pub const BUS_ENTRIES: usize = 10;
pub const BUS_BYTES: usize = 256 * 1024;
/// One attempt to put on the bus, and all of them: nobody waits for it, and a request may be large.
pub const BUS_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
pub const BUS_TIMEOUT: Duration = Duration::from_secs(10);
/// The first wait after the bus took only a part of a request; each next one doubles.
pub const BUS_BACKOFF: Duration = Duration::from_millis(100);
/// Webhook subscriptions of one organization: each is told every event.
pub const SUBSCRIPTIONS_MAX: usize = 20;
/// Characters of a webhook's address.
pub const URL_CHARS: usize = 2000;
/// The first wait before a delivery is tried again; each next one doubles.
pub const WEBHOOK_RETRY_BASE: Duration = Duration::from_secs(1);
/// A function that delivers tries again by itself what is due within this, which are the first three; later ones are
/// for the clock. Longer, and one receiver that is away would hold up other organizations.
pub const WEBHOOK_RETRY_SOON: Duration = Duration::from_secs(10);
/// The longest of these waits.
pub const WEBHOOK_RETRY_MAX: Duration = Duration::from_secs(3600);
/// A subscription is parked when one event could not be delivered for this long.
pub const WEBHOOK_GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// One attempt, from the dial to the answer's head: what Standard Webhooks advises.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of a receiver's answer that are read, so that it may finish writing it: one that is not read to the end may
/// take the delivery for failed. Nothing of it is kept.
pub const WEBHOOK_ANSWER_BYTES: usize = 64 * 1024;
/// How long the secret before signs too, after a rotation.
pub const WEBHOOK_SECRET_OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// Attempts that a subscription's log of deliveries keeps.
pub const WEBHOOK_ATTEMPTS_KEPT: usize = 1000;
/// Where attempts expire by themselves.
pub const WEBHOOK_ATTEMPT_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Bytes of a goal for which a binding is proposed: pages of it, and no document.
pub const GOAL_BYTES: usize = 10 * 1024;
/// All that an assistant is asked for one goal, with its repairs. The gateway cuts at 29 s, and then the draft is still
/// to be saved.
pub const ASSISTANT_DEADLINE: Duration = Duration::from_secs(20);
/// How often an assistant may mend a proposal that the checks refuse: who does not see it the second time never does.
pub const ASSISTANT_REPAIRS: usize = 2;
/// Goals of one organization that one process has an assistant think about at once; it costs the operator money.
pub const ASSISTANT_AT_ONCE: usize = 4;
/// Columns that an assistant is shown of each object. Services take 1,000 names in the schema of an answer, and
/// 15,000 characters in one list of them.
pub const ASSISTANT_COLUMNS: usize = 40;
/// Characters of a comment that an assistant is shown, and of its reason that a person is.
pub const ASSISTANT_TEXT_CHARS: usize = 300;
/// Values of an enumeration that an assistant is shown.
pub const ASSISTANT_ENUM_VALUES: usize = 30;
/// Bytes of an assistant's answer: a binding has one or two thousand.
pub const ASSISTANT_ANSWER_BYTES: usize = 256 * 1024;
/// Tokens of an assistant's answer, where a service has to be told.
pub const ASSISTANT_ANSWER_TOKENS: u32 = 4096;
/// Characters of a goal that are read, and words of it that count: a goal is a sentence.
pub const GOAL_CHARS_READ: usize = 2000;
pub const GOAL_WORDS: usize = 32;
/// Objects that an assistant is shown for one goal.
pub const SHORTLIST: usize = 8;
/// Bindings proposed for one goal, the best and its alternatives.
pub const PROPOSALS: usize = 3;
/// Objects that are judged in full for one goal; words alone have chosen them.
pub const CANDIDATES: usize = 40;
/// Values that a proposed read answers with: what a voice can say of one row.
pub const LEAVES_PROPOSED: usize = 8;
/// Parameters of a proposed write that are not demanded by the table: each is a question to the caller.
pub const OPTIONAL_INPUTS_PROPOSED: usize = 6;
/// Events between two states of the past that are kept: folding as many takes some hundredths of a second.
pub const PAST_EVERY: u64 = 2000;
/// Bytes of a kept state, as JSON, that are read in the time in which one event is read and folded. Larger states are
/// kept less often, so that folding what is behind one takes no longer than reading it; compressed, all of them
/// together are smaller than the log.
pub const PAST_BYTES_AN_EVENT: u64 = 4096;
/// Bytes that one event adds to a state, about.
pub const EVENT_BYTES: u64 = 1024;
/// Bytes of the states of the past that a process remembers, as JSON. They save it the reading of what is kept.
pub const PAST_REMEMBERED_BYTES: u64 = 32 * 1024 * 1024;
/// Of requests whose caller does not decide it, the part that is traced: one in a hundred shows where time goes, and
/// costs each request a hundredth of a trace.
pub const TRACED: f64 = 0.01;
/// One attempt to send traces or metrics, where the environment does not say: as the specification of OTLP has it.
pub const TELEMETRY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a collector's answer that are read.
pub const TELEMETRY_ANSWER_BYTES: usize = 64 * 1024;
/// How long a server that ends waits for the last of its traces and metrics to be sent.
pub const TELEMETRY_FLUSH: Duration = Duration::from_secs(5);
/// How often what has to be looked up for a metric is: as often as Prometheus asks, by default.
pub const TELEMETRY_LOOK: Duration = Duration::from_secs(15);
/// How long records of live calls are kept unless the operator says otherwise.
pub const CALLS_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// The longest that an operator may ask for: what is a keyed hash today may be guessed one day.
pub const CALLS_KEPT_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);
/// Records that wait to be kept, 8 MB of them as text: what comes above it is counted and lost, and no call waits.
pub const CALLS_WAITING: usize = 20_000;
/// How often those that wait are kept, where anything goes on between requests: a process that is killed loses as much.
pub const CALLS_KEPT_EVERY: Duration = Duration::from_millis(250);
/// So many, of all agents together, are kept without waiting for that: half a megabyte of text, so that a busy server
/// holds little.
pub const CALLS_KEPT_AT: usize = 1024;
/// Records that one request looks at for its page, and that a list's `total` counts at most. Where more are to be
/// looked at, the page is shorter and has a cursor.
pub const CALLS_LOOKED_AT: usize = 2000;
/// Latest calls of an agent that the latencies of its skills are told from.
pub const LATENCY_CALLS: usize = 5000;
/// Characters of a platform's ids that a record keeps.
pub const CALL_ID_CHARS: usize = 200;
