"""An XMPP user on slixmpp, driven by JSON lines on standard input, telling by JSON lines what happens.

Arguments: address and port of the server, the user's full JID, the password.
"""

import asyncio
import json
import sys

import slixmpp

MUC_USER = "{http://jabber.org/protocol/muc#user}"


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class User(slixmpp.ClientXMPP):
    def __init__(self, jid, password):
        super().__init__(jid, password)
        self["feature_mechanisms"].unencrypted_plain = True
        for plugin in ("xep_0030", "xep_0045", "xep_0199"):
            self.register_plugin(plugin)
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("failed_all_auth", lambda _: tell("error", text="may not log in"))
        self.add_event_handler("disconnected", lambda _: tell("disconnected"))
        self.add_event_handler("groupchat_message", self.on_message)
        self.add_event_handler("message", self.on_other_message)
        self.add_event_handler("groupchat_subject", self.on_subject)
        self.add_event_handler("groupchat_presence", self.on_presence)
        self.add_event_handler("groupchat_direct_invite", self.on_invite)
        self.add_event_handler("groupchat_invite", self.on_invite)

    async def on_start(self, _):
        self.send_presence()
        await self.get_roster()
        tell("ready")

    def on_message(self, message):
        if message["body"]:
            tell("message", room=message["from"].bare, **{"from": message["from"].resource}, text=message["body"],
                 private=False)

    def on_other_message(self, message):
        if message["type"] == "error":
            tell("message_error", condition=message["error"]["condition"], text=message["body"])
        elif message["type"] in ("chat", "normal") and message["body"]:
            tell("message", room=message["from"].bare, **{"from": message["from"].resource}, text=message["body"],
                 private=True)

    def on_subject(self, message):
        tell("subject", room=message["from"].bare, text=message["subject"])

    def on_presence(self, presence):
        codes = [int(status.get("code")) for status in presence.xml.iter(MUC_USER + "status")]
        tell("presence", room=presence["from"].bare, nick=presence["from"].resource, type=presence["type"], codes=codes)

    def on_invite(self, message):
        tell("invited", **{"from": message["from"].bare})

    async def obey(self, command):
        muc = self["xep_0045"]
        name = command.pop("cmd")
        if name == "enter":
            await self.enter(muc, **command)
        elif name == "roster":
            tell("roster", users=sorted(muc.get_roster(command["room"])))
        elif name == "say":
            self.send_message(mto=command["room"], mbody=command["text"], mtype="groupchat")
        elif name == "whisper":
            self.send_message(mto=command["room"] + "/" + command["nick"], mbody=command["text"], mtype="chat")
        elif name == "rename":
            self.send_presence(pto=command["room"] + "/" + command["nick"])
        elif name == "leave":
            muc.leave_muc(command["room"], command["nick"])
        elif name == "features":
            found = await self["xep_0030"].get_info(jid=command["jid"])
            tell("features", features=sorted(found["disco_info"]["features"]),
                 identities=[list(identity[:2]) for identity in found["disco_info"]["identities"]])
        elif name == "ping":
            rtt = await self["xep_0199"].ping(jid=command["jid"], timeout=10)
            tell("pong", jid=command["jid"], took=rtt)

    async def enter(self, muc, room, nick):
        try:
            await muc.join_muc_wait(room, nick, maxstanzas=0, timeout=15)
            tell("entered", room=room, nick=nick)
        except slixmpp.exceptions.PresenceError as refusal:
            tell("refused", room=room, condition=refusal.condition)
        except asyncio.TimeoutError:
            tell("refused", room=room, condition="timeout")


async def main():
    address, port, jid, password = sys.argv[1:5]
    user = User(jid, password)
    user.connect((address, int(port)), disable_starttls=True, force_starttls=False)
    reader = asyncio.StreamReader(limit=1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        try:
            await user.obey(command)
        except Exception as fault:  # told, not hidden: the test decides
            tell("error", text=repr(fault))
    await user.disconnect(wait=1.0)


asyncio.run(main())
