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
	last_arrival	BIGINT NOT NULL DEFAULT 0,	-- trailing: when old last had something new
	flipped_at	BIGINT NOT NULL DEFAULT 0,	-- the last flip, in whichever direction
	quota		TEXT NOT NULL DEFAULT '',	-- why the new mailbox has no room; '': it has
	not_before	BIGINT NOT NULL DEFAULT 0,	-- a server wants to be left alone until then
	strays		BIGINT NOT NULL DEFAULT 0,	-- changes on the side left, seen since the flip
	last_stray	BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX users_by_state ON users (state);
CREATE INDEX users_by_wave ON users (wave);
CREATE UNIQUE INDEX users_by_change ON users (change);
-- What the last @ of the name begins; where there is none, the whole name. As STORE_TAIL has it.
CREATE INDEX users_by_domain ON users (substr(name, length(rtrim(name, replace(name, '@', '')))));

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
	seen		BIGINT NOT NULL,	-- highest change applied
	build		TEXT NOT NULL DEFAULT '',	-- version and build of its program
	leaving		INTEGER NOT NULL DEFAULT 0,	-- takes no more sessions, ends with its last one
	drain_until	BIGINT NOT NULL DEFAULT 0,	-- 0: serves; else takes no clients, and then cuts who is left
	host		TEXT NOT NULL DEFAULT '',	-- for people
	place		TEXT NOT NULL DEFAULT ''	-- the run.dir it runs in; '': an older program's
);

CREATE TABLE engines (			-- one at work, any number of stand-bys
	place		TEXT PRIMARY KEY,	-- the run.dir it runs in
	host		TEXT NOT NULL,
	pid		INTEGER NOT NULL,
	started		BIGINT NOT NULL,
	seen		BIGINT NOT NULL,
	workers		INTEGER NOT NULL DEFAULT 0	-- passes that it makes for the one at work, at once
);

CREATE TABLE engine_lease (		-- which of them is at work
	one		INTEGER PRIMARY KEY,	-- always 1
	place		TEXT NOT NULL,
	epoch		BIGINT NOT NULL,	-- another one for each that takes over
	lease_until	BIGINT NOT NULL
);

CREATE TABLE leases (			-- users of whom the engine at work lets another one make a pass
	name		TEXT PRIMARY KEY,
	kind		TEXT NOT NULL,		-- probe, pass, trailing
	change		BIGINT NOT NULL,	-- the user's, when it was offered
	connections	INTEGER NOT NULL,
	rules		TEXT NOT NULL,		-- digest of what is copied and how
	folder		TEXT NOT NULL,		-- where the journal was last; '': nowhere
	offered		BIGINT NOT NULL,
	state		INTEGER NOT NULL DEFAULT 0,	-- enum lease_state
	place		TEXT NOT NULL DEFAULT '',	-- of the engine that took it
	body		TEXT NOT NULL DEFAULT ''	-- how far it is, or how it ended
);

CREATE TABLE certificates (		-- that clients see: the default one and the next to expire
	node		TEXT NOT NULL,
	name		TEXT NOT NULL,		-- '': the default
	not_after	BIGINT NOT NULL,
	PRIMARY KEY (node, name)
);

CREATE TABLE latency (			-- of live users' commands, as a node sees it
	node		TEXT NOT NULL,
	side		TEXT NOT NULL,
	at		BIGINT NOT NULL,
	commands	BIGINT NOT NULL,	-- answered in the last few seconds
	typical_us	BIGINT NOT NULL,	-- the median of them
	PRIMARY KEY (node, side)
);

CREATE TABLE server_errors (		-- NO [SERVERBUG] or the like, heard by live users
	side		TEXT NOT NULL,
	name		TEXT NOT NULL,		-- of each side the users who heard it last
	at		BIGINT NOT NULL,
	PRIMARY KEY (side, name)
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
	client		TEXT NOT NULL DEFAULT '',	-- name and version, by its own word (IMAP ID)
	route		TEXT NOT NULL DEFAULT '',	-- why it was led where it is: "old: user is ready"
	quiet_since	BIGINT NOT NULL DEFAULT 0,	-- no command is open since then; 0: one is
	PRIMARY KEY (node, id)
);
CREATE INDEX sessions_by_name ON sessions (name, node, id);

CREATE TABLE holds (			-- each login that waited, for reports
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	node		TEXT NOT NULL,
	name		TEXT NOT NULL,
	proto		TEXT NOT NULL,
	at		BIGINT NOT NULL,
	held_ms		BIGINT NOT NULL,
	released_to	TEXT NOT NULL		-- old, new, or refused
);
CREATE INDEX holds_by_name ON holds (name, id);
CREATE INDEX holds_by_time ON holds (at);

CREATE TABLE logins (			-- that nodes led to a server; the oldest go
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	node		TEXT NOT NULL,
	name		TEXT NOT NULL,
	proto		TEXT NOT NULL,
	at		BIGINT NOT NULL,
	side		TEXT NOT NULL,
	route		TEXT NOT NULL,		-- why there, as in sessions
	result		TEXT NOT NULL,		-- ok, refused, failed
	client		TEXT NOT NULL,
	held_ms		BIGINT NOT NULL,
	took_ms		BIGINT NOT NULL
);
CREATE INDEX logins_by_name ON logins (name, id);
CREATE INDEX logins_by_time ON logins (at);

CREATE TABLE drops (			-- sessions that we ended after their login; the oldest go
	node		TEXT NOT NULL,
	session		TEXT NOT NULL,
	name		TEXT NOT NULL,
	proto		TEXT NOT NULL,
	at		BIGINT NOT NULL,
	side		TEXT NOT NULL,
	doing		TEXT NOT NULL,		-- what was open
	why		TEXT NOT NULL,		-- moved, dropped, …
	bye		TEXT NOT NULL,		-- heard, sent, none
	client		TEXT NOT NULL,
	back_ms		BIGINT NOT NULL DEFAULT 0,	-- a login of the user followed after so long; 0: none yet
	PRIMARY KEY (node, session)
);
CREATE INDEX drops_by_name ON drops (name, at);
CREATE INDEX drops_by_time ON drops (at);

CREATE TABLE requests (			-- from the operator to the nodes: trace, loglevel, drop, drain, leave …
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	at		BIGINT NOT NULL,
	verb		TEXT NOT NULL,
	name		TEXT NOT NULL,		-- of a user, or of a node
	args		TEXT NOT NULL
);

CREATE TABLE answers (			-- what became of a drop or drain on each node
	request		BIGINT NOT NULL,
	node		TEXT NOT NULL,
	at		BIGINT NOT NULL,
	ended		BIGINT NOT NULL,	-- sessions, at their boundary
	cut		BIGINT NOT NULL,	-- sessions, by force
	remain		BIGINT NOT NULL,	-- sessions that are still there
	doing		TEXT NOT NULL,		-- of one that remains
	PRIMARY KEY (request, node)
);
CREATE INDEX answers_by_time ON answers (at);

CREATE TABLE traces (			-- one user's conversations, written down for a while
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	name		TEXT NOT NULL,
	started		BIGINT NOT NULL,
	until		BIGINT NOT NULL,
	max_bytes	BIGINT NOT NULL,
	bytes		BIGINT NOT NULL DEFAULT 0,	-- written so far, by all nodes
	stopped		INTEGER NOT NULL DEFAULT 0	-- before its end, by a person
);

CREATE TABLE trace_lines (		-- redacted before they come here
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	trace		BIGINT NOT NULL,
	node		TEXT NOT NULL,
	at		BIGINT NOT NULL,
	session		TEXT NOT NULL,
	way		TEXT NOT NULL,		-- C: from the client, S: to the client, --: the proxy itself
	line		TEXT NOT NULL
);
CREATE INDEX trace_lines_by_trace ON trace_lines (trace, id);

CREATE TABLE strangers (		-- logins that nobody imported
	name		TEXT PRIMARY KEY,
	first_seen	BIGINT NOT NULL,
	last_seen	BIGINT NOT NULL,
	logins		BIGINT NOT NULL
);
CREATE INDEX strangers_by_domain ON strangers (substr(name, length(rtrim(name, replace(name, '@', '')))));

CREATE TABLE usage (			-- in how many sessions a client used an extension
	proto		TEXT NOT NULL,
	extension	TEXT NOT NULL,		-- as servers list it, up to an =; "sessions": all of them
	sessions	BIGINT NOT NULL,
	last_seen	BIGINT NOT NULL,
	PRIMARY KEY (proto, extension)
);

CREATE TABLE pop3_users (		-- who reads by POP3, and the unique ids that such clients know
	name		TEXT PRIMARY KEY,
	seen		BIGINT NOT NULL DEFAULT 0,	-- last POP3 session on old; 0: a node saw none
	mapped_at	BIGINT NOT NULL DEFAULT 0,	-- from here on of the map; 0: there is none
	complete	INTEGER NOT NULL DEFAULT 0,	-- all that old shows by POP3 is in it
	accepted	INTEGER NOT NULL DEFAULT 0,	-- a person takes it as it is
	entries		BIGINT NOT NULL DEFAULT 0,
	missing		BIGINT NOT NULL DEFAULT 0,	-- messages of old that are not in it
	bytes		BIGINT NOT NULL DEFAULT 0,	-- of all parts
	digest		TEXT NOT NULL DEFAULT '',	-- SHA-256 over all parts, in hex
	why		TEXT NOT NULL DEFAULT ''	-- not complete: the reason
);

CREATE TABLE pop3_parts (		-- a user's map: lines "NEW OLD" of unique ids
	name		TEXT NOT NULL,
	part		INTEGER NOT NULL,
	body		TEXT NOT NULL,
	PRIMARY KEY (name, part)
);

CREATE TABLE facts (			-- what the last pass found about a user, for the gate
	name		TEXT PRIMARY KEY,
	at		BIGINT NOT NULL,
	body		TEXT NOT NULL		-- JSON, the engine's
);

CREATE TABLE waivers (			-- checks of the gate that a person lets pass
	kind		TEXT NOT NULL,		-- user or wave
	name		TEXT NOT NULL,
	item		TEXT NOT NULL,
	note		TEXT NOT NULL,
	actor		TEXT NOT NULL,
	at		BIGINT NOT NULL,
	PRIMARY KEY (kind, name, item)
);

CREATE TABLE dns_notes (		-- what a domain's own name servers said, a row for each change
	domain		TEXT NOT NULL,
	record		TEXT NOT NULL,		-- "MX", "mail A", …
	value		TEXT NOT NULL,		-- as in a zone file, sorted, separated by |
	ttl_s		BIGINT NOT NULL,
	first_seen	BIGINT NOT NULL,
	last_seen	BIGINT NOT NULL,
	PRIMARY KEY (domain, record, first_seen)
);

CREATE TABLE shadow_logins (		-- does new take the password that was last used on old?
	name		TEXT PRIMARY KEY,
	next_at		BIGINT NOT NULL,	-- not tried again before
	at		BIGINT NOT NULL DEFAULT 0,	-- of the last answer; 0: none yet
	accepted	INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE learned (			-- passwords that old has taken, sealed to the engine's key
	name		TEXT PRIMARY KEY,
	at		BIGINT NOT NULL,
	sealed		TEXT NOT NULL
);

CREATE TABLE last_sessions (		-- when a user's last session on any node ended
	name		TEXT PRIMARY KEY,
	at		BIGINT NOT NULL,
	began		BIGINT NOT NULL DEFAULT 0,	-- by its node's clock; 0: not known
	earliest	BIGINT NOT NULL DEFAULT 0	-- of all told since the engine asked; 0: none
);

CREATE TABLE timetables (		-- when whose cutovers begin, by the operator's word
	kind		TEXT NOT NULL,		-- user or wave; a user's own counts before his wave's
	name		TEXT NOT NULL,
	starts		BIGINT NOT NULL DEFAULT 0,	-- nobody goes before; 0: at once
	rate		INTEGER NOT NULL DEFAULT 0,	-- users a minute; 0: no limit
	first_hour	INTEGER NOT NULL DEFAULT 0,	-- users in the hour after their flip; 0: no limit
	quiet_s		INTEGER NOT NULL DEFAULT 0,	-- who has had no command open for so long; 0: not asked
	latest		BIGINT NOT NULL DEFAULT 0,	-- or at this time, quiet or not; 0: waits
	paused		INTEGER NOT NULL DEFAULT 0,	-- nobody begins
	why		TEXT NOT NULL DEFAULT '',	-- it is paused
	actor		TEXT NOT NULL DEFAULT '',
	since		BIGINT NOT NULL DEFAULT 0,	-- the last word about it: rules look no further back
	PRIMARY KEY (kind, name)
);

CREATE TABLE validities (		-- UIDVALIDITYs of old, that new's clients may be shown
	name		TEXT PRIMARY KEY,
	lines		TEXT NOT NULL		-- "NEW OLD" of each folder; "": none
);

CREATE TABLE phase_notes (		-- what persons said of items of a domain's plan; the last word counts
	id		INTEGER PRIMARY KEY AUTOINCREMENT,
	domain		TEXT NOT NULL,
	item		TEXT NOT NULL,
	done		INTEGER NOT NULL,	-- 0: taken back
	note		TEXT NOT NULL,
	actor		TEXT NOT NULL,
	at		BIGINT NOT NULL
);
CREATE INDEX phase_notes_by_domain ON phase_notes (domain, item, id);

CREATE TABLE pulls (			-- users whose mail OpenSRS's migration tool is to pull
	name		TEXT PRIMARY KEY,
	state		TEXT NOT NULL,		-- waiting, running, done, failed, stuck
	job		TEXT NOT NULL,		-- the last one's name there; "": none yet
	text		TEXT NOT NULL,
	tries		INTEGER NOT NULL,
	asked		BIGINT NOT NULL,
	migrated	BIGINT NOT NULL,
	skipped		BIGINT NOT NULL,
	failed		BIGINT NOT NULL,
	total		BIGINT NOT NULL,
	bytes		BIGINT NOT NULL
);

CREATE TABLE journals (			-- copies of the copier's journals, when several hosts share the store
	name		TEXT PRIMARY KEY,
	edition		TEXT NOT NULL,		-- of the copy; "": there is none yet
	away		INTEGER NOT NULL,	-- at work in that folder, and perhaps further than the copy
	folder		TEXT NOT NULL,
	host		TEXT NOT NULL,		-- the same, for people
	at		BIGINT NOT NULL,
	size		BIGINT NOT NULL DEFAULT 0,
	parts		TEXT NOT NULL DEFAULT ''	-- SHA-256 of each part of the file, in order
);
CREATE INDEX journals_by_folder ON journals (away, folder);

CREATE TABLE journal_parts (		-- of all copies of a user's journal
	name		TEXT NOT NULL,
	digest		TEXT NOT NULL,
	body		TEXT NOT NULL,		-- compressed, in base64
	PRIMARY KEY (name, digest)
);
