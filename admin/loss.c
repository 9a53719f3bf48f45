/* Hides: a table of sentences. */
#include "admin/loss.h"

static const struct {
	enum protocol_kind proto;
	const char *name, *means;
} losses[] = {
	{ PROTO_IMAP, "ACL", "shared folders cannot be managed from mail programs" },
	{ PROTO_IMAP, "BINARY", "attachments are fetched in their longer encoded form" },
	{ PROTO_IMAP, "CATENATE", "sending with large attachments uploads them twice" },
	{ PROTO_IMAP, "CONDSTORE",
	  "each look at a folder fetches all flags again: slow in large ones" },
	{ PROTO_IMAP, "CREATE-SPECIAL-USE",
	  "programs cannot mark the folders they make for sent mail, drafts …" },
	{ PROTO_IMAP, "ENABLE", "QRESYNC and UTF-8 names cannot be switched on" },
	{ PROTO_IMAP, "ESEARCH", "searches answer with long lists instead of counts" },
	{ PROTO_IMAP, "ID", "servers and programs do not know each other's names" },
	{ PROTO_IMAP, "IDLE", "new mail shows up at the next poll instead of at once" },
	{ PROTO_IMAP, "IMAP4REV2",
	  "programs use the older protocol: nothing people would see" },
	{ PROTO_IMAP, "LIST-EXTENDED", "folder lists need more commands" },
	{ PROTO_IMAP, "LIST-STATUS", "unread counts need one command for each folder" },
	{ PROTO_IMAP, "LITERAL+", "uploads wait one round trip more for each message" },
	{ PROTO_IMAP, "METADATA", "notes that programs keep with folders are not there" },
	{ PROTO_IMAP, "MOVE",
	  "moving mail is copy and delete: slower, twice the space meanwhile" },
	{ PROTO_IMAP, "MULTIAPPEND", "uploads of many messages are slower" },
	{ PROTO_IMAP, "NAMESPACE", "folders of others and shared ones may not be found" },
	{ PROTO_IMAP, "NOTIFY", "changes in other folders show up only when these are opened" },
	{ PROTO_IMAP, "PREVIEW", "previews in lists need the messages themselves" },
	{ PROTO_IMAP, "QRESYNC",
	  "each connection compares whole folders again: slow and much traffic" },
	{ PROTO_IMAP, "QUOTA", "programs cannot show how full the mailbox is" },
	{ PROTO_IMAP, "REPLACE", "saving a draft again may leave the old one behind" },
	{ PROTO_IMAP, "SEARCHRES", "searches used by further commands travel to and fro" },
	{ PROTO_IMAP, "SORT",
	  "programs sort by themselves: webmail gets slow in large folders" },
	{ PROTO_IMAP, "SPECIAL-USE",
	  "programs guess which folder is for sent mail, drafts, trash" },
	{ PROTO_IMAP, "STATUS", "sizes of folders are added up message by message" },
	{ PROTO_IMAP, "THREAD",
	  "programs build conversations by themselves: webmail gets slow" },
	{ PROTO_IMAP, "UIDPLUS",
	  "programs search for what they just stored, and may expunge others' deletes" },
	{ PROTO_IMAP, "UNSELECT", "leaving a folder may expunge what is marked deleted" },
	{ PROTO_IMAP, "UTF8", "addresses and names that are not ASCII are shown encoded" },
	{ PROTO_POP3, "EXPIRE", "programs are not told how long mail is kept" },
	{ PROTO_POP3, "PIPELINING", "each message takes one round trip more" },
	{ PROTO_POP3, "RESP-CODES",
	  "programs cannot tell a wrong password from a busy mailbox" },
	{ PROTO_POP3, "AUTH-RESP-CODE",
	  "programs cannot tell a wrong password from a busy mailbox" },
	{ PROTO_POP3, "SASL", "programs set to this kind of login cannot log in" },
	{ PROTO_POP3, "TOP", "programs download whole messages to show their headers" },
	{ PROTO_POP3, "UIDL",
	  "programs that leave mail on the server download all of it again and again" },
	{ PROTO_POP3, "USER", "programs set to plain USER and PASS cannot log in" },
};

struct slice loss_name(struct slice capability)
{
	size_t n = 0;

	while (n < capability.n && capability.p[n] != '=' && capability.p[n] != ' ')
		n++;
	return (struct slice){ capability.p, n };
}

const char *loss_means(enum protocol_kind proto, struct slice capability)
{
	struct slice name = loss_name(capability);

	for (size_t i = 0; i < COUNT(losses); i++)
		if (losses[i].proto == proto && slice_is_nocase(name, losses[i].name))
			return losses[i].means;
	return "rarely used: nothing that people are known to notice";
}
