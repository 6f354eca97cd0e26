-- Prosody for the gateway: users, chat rooms, and the component that the gateway attaches as.
--
-- The same file serves the container image, `cargo xtask demo` and the end-to-end tests; what differs between
-- them comes from the environment. The defaults are those of the container image.
--
--   PROSODY_DIR                    accounts, rooms and the pid file live below it     /var/lib/prosody
--   PROSODY_INTERFACE              address to listen on                               *
--   PROSODY_C2S_PORT               XMPP users                                         5222
--   PROSODY_COMPONENT_PORT         the gateway                                        5347
--   PROSODY_COMPONENT_SECRET       secret shared with the gateway, or
--   PROSODY_COMPONENT_SECRET_FILE  a file that holds it                               /run/secret/component
--   PROSODY_COMPONENT_CONFLICT     who wins when the domain attaches twice            kick_old
--   PROSODY_STANZA_LIMIT           largest stanza taken from a user, in octets        262144
--   PROSODY_LOG_LEVEL              debug, info, warn or error                         info

local function setting(name, default)
	local value = os.getenv("PROSODY_" .. name);
	if value == nil or value == "" then return default; end
	return value;
end

local function component_secret_from_environment()
	local value = setting("COMPONENT_SECRET");
	if value then return value; end
	local path = setting("COMPONENT_SECRET_FILE", "/run/secret/component");
	-- Without a readable file Prosody starts and refuses every component, naming the missing secret in its log.
	local file = io.open(path);
	if not file then return nil; end
	local secret = file:read("*l");
	file:close();
	return secret;
end

local directory = setting("DIR", "/var/lib/prosody");
local interface = setting("INTERFACE", "*");

daemonize = false
pidfile = directory .. "/prosody.pid"
data_path = directory .. "/data"
log = { { levels = { min = setting("LOG_LEVEL", "info") }, to = "console" } }

-- With Nagle's algorithm a burst of small stanzas to the gateway stalls for about 40 ms.
network_backend = "epoll"
network_settings = { nagle = false }

interfaces = { interface }
local_interfaces = { interface }
component_interfaces = { interface }
c2s_ports = { tonumber(setting("C2S_PORT", "5222")) }
component_ports = { tonumber(setting("COMPONENT_PORT", "5347")) }
c2s_direct_tls_ports = {}
s2s_ports = {}
s2s_direct_tls_ports = {}
http_ports = {}
https_ports = {}

modules_enabled = { "carbons", "disco", "ping", "roster", "saslauth" }
modules_disabled = { "offline", "s2s", "tls" }

-- No certificate comes with these files: users log in without TLS, so keep the port on a private network. To serve
-- others, add a certificate, take "tls" out of modules_disabled and delete the next two lines.
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
c2s_stanza_size_limit = tonumber(setting("STANZA_LIMIT", "262144"))
authentication = "internal_hashed"
default_storage = "internal"

VirtualHost "example.com"

-- The rooms. The gateway shows each of them as sip:ROOM@rooms.example.com.
Component "rooms.example.com" "muc"
	modules_enabled = { "muc_mam" }
	restrict_room_creation = false
	muc_room_locking = false
	muc_room_default_public = true

-- The gateway speaks for the SIP users: sip:romeo@example.org is romeo@example.org here.
Component "example.org"
	component_secret = component_secret_from_environment()
	-- A gateway that comes back takes over from its own half-dead connection instead of being refused.
	component_conflict_resolve = setting("COMPONENT_CONFLICT", "kick_old")

-- The conferences of the SIP side, for a gateway with a [[conferences]] section: sip:verona@conference.example.org is
-- the room verona@conference.example.org here.
Component "conference.example.org"
	component_secret = component_secret_from_environment()
	component_conflict_resolve = setting("COMPONENT_CONFLICT", "kick_old")
