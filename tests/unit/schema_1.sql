-- The store. One dialect for SQLite and PostgreSQL: plain types, no triggers, upserts by ON CONFLICT.
-- Times are milliseconds since 1970 by the store's clock. Booleans are 0 and 1.

CREATE TABLE meta (			-- store_id, schema_version, users_complete
	key		TEXT PRIMARY KEY,
	value		TEXT NOT NULL
);

CREATE TABLE users (
	name		TEXT PRIMARY KEY,	-- normalised login name
	old_login	TEXT NOT NULL,
	old_password_file TEXT,			-- NULL: a master user logs in
	new_login	TEXT NOT NULL,
	new_password_file TEXT,
	wave		TEXT NOT NULL DEFAULT '',
	state		TEXT NOT NULL DEFAULT 'pending',
	direction	TEXT NOT NULL DEFAULT 'forward',
	change		BIGINT NOT NULL,	-- the highest id of this user in changes
	epoch		BIGINT NOT NULL DEFAULT 0,	-- raised by a flip, never else
	hold_until	BIGINT NOT NULL DEFAULT 0,	-- while frozen: after this only the undo is legal
	state_since	BIGINT NOT NULL,
	go		INTEGER NOT NULL DEFAULT 0,	-- the operator wants the cutover
	attempts	INTEGER NOT NULL DEFAULT 0,	-- passes and probes failed in a row
	undos		INTEGER NOT NULL DEFAULT 0,	-- cutovers undone since the last flip
	next_try	BIGINT NOT NULL DEFAULT 0,
	stuck_reason	TEXT NOT NULL DEFAULT '',
	passes		BIGINT NOT NULL DEFAULT 0,	-- from here on: written by the engine after each pass
	pass_ended	BIGINT NOT NULL DEFAULT 0,
	pass_took	BIGINT NOT NULL DEFAULT 0,	-- ms
	pass_clean	INTEGER NOT NULL DEFAULT 0,	-- nothing was left to do and nothing is in doubt
	pass_error	TEXT NOT NULL DEFAULT '',
	messages	BIGINT NOT NULL DEFAULT 0,	-- on the side that counts, at the last pass
	copied		BIGINT NOT NULL DEFAULT 0,	-- by us, ever
	verified	BIGINT NOT NULL DEFAULT 0,	-- compared byte for byte on both sides
	exceptions	BIGINT NOT NULL DEFAULT 0,	-- messages that could not be copied
	bytes		BIGINT NOT NULL DEFAULT 0,
	last_arrival	BIGINT NOT NULL DEFAULT 0	-- trailing: when old last had something new
);
CREATE INDEX users_by_state ON users (state);
CREATE INDEX users_by_wave ON users (wave);
CREATE UNIQUE INDEX users_by_change ON users (change);

CREATE TABLE aliases (			-- other names that lead to the same user
	alias		TEXT PRIMARY KEY,
	name		TEXT NOT NULL
);
CREATE INDEX aliases_by_name ON aliases (name);

CREATE TABLE changes (			-- gives each change its number; nodes follow users.change > last
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	name		TEXT NOT NULL
);

CREATE TABLE history (
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	name		TEXT NOT NULL,
	at		BIGINT NOT NULL,
	from_state	TEXT NOT NULL,
	to_state	TEXT NOT NULL,
	direction	TEXT NOT NULL,
	change		BIGINT NOT NULL,
	actor		TEXT NOT NULL,		-- engine, a node's name, operator
	why		TEXT NOT NULL
);
CREATE INDEX history_by_name ON history (name, id);

CREATE TABLE nodes (
	node		TEXT PRIMARY KEY,
	incarnation	BIGINT NOT NULL,	-- another one for each start
	pid		INTEGER NOT NULL,
	started		BIGINT NOT NULL,
	lease_until	BIGINT NOT NULL,
	seen		BIGINT NOT NULL		-- highest change applied
);

CREATE TABLE acks (			-- "none of my sessions of this user can change the side being left"
	node		TEXT NOT NULL,
	name		TEXT NOT NULL,
	change		BIGINT NOT NULL,	-- the freeze it answers
	at		BIGINT NOT NULL,
	PRIMARY KEY (node, name)
);

CREATE TABLE blockers (			-- why a node has not acknowledged yet, for `mailferry why`
	node		TEXT NOT NULL,
	name		TEXT NOT NULL,
	text		TEXT NOT NULL,
	PRIMARY KEY (node, name)
);

CREATE TABLE sessions (
	node		TEXT NOT NULL,
	id		TEXT NOT NULL,
	name		TEXT NOT NULL,
	proto		TEXT NOT NULL,
	peer		TEXT NOT NULL,
	side		TEXT NOT NULL,
	state		TEXT NOT NULL,
	doing		TEXT NOT NULL,		-- what is open: "IDLE", "APPEND 18/50 MB", …
	since		BIGINT NOT NULL,
	bytes_up	BIGINT NOT NULL,
	bytes_down	BIGINT NOT NULL,
	PRIMARY KEY (node, id)
);
CREATE INDEX sessions_by_name ON sessions (name);

CREATE TABLE holds (			-- each login that waited, for reports
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	node		TEXT NOT NULL,
	name		TEXT NOT NULL,
	proto		TEXT NOT NULL,
	at		BIGINT NOT NULL,
	held_ms		BIGINT NOT NULL,
	released_to	TEXT NOT NULL		-- old, new, or refused
);

CREATE TABLE requests (			-- from the operator to all nodes: trace, loglevel, reload
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	at		BIGINT NOT NULL,
	verb		TEXT NOT NULL,
	name		TEXT NOT NULL,
	args		TEXT NOT NULL
);

CREATE TABLE strangers (		-- logins that nobody imported
	name		TEXT PRIMARY KEY,
	first_seen	BIGINT NOT NULL,
	last_seen	BIGINT NOT NULL,
	logins		BIGINT NOT NULL
);
