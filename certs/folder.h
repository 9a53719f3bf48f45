/*
 * A folder of certificates, found by the name that a client asks for (SNI).
 *
 * Two layouts, which may be mixed:
 *   NAME.pem                    certificate, chain and key; the key may stand in NAME.key
 * beside it [live/]NAME/fullchain.pem   and privkey.pem: Let's Encrypt's, by the name of the
 * folder A second certificate with another kind of key: NAME.ecdsa.pem or NAME.rsa.pem; folders
 * NAME.ecdsa, NAME.rsa. A wildcard: _.example.com or *.example.com. A certificate with several
 * names is found by the others through links (ln -s example.com.pem imap.example.com.pem), and
 * below its own name without: for imap.example.com the certificate of example.com is looked at,
 * and used if it covers the name. First the exact name, then the wildcard, then the parents.
 *
 * Only names are read at start. Files are read when they are first asked for, a few KiB in the
 * event loop, and then kept: at most `loaded_max` names, the least recently used goes first.
 */
#ifndef CERTS_FOLDER_H
#define CERTS_FOLDER_H

#include "certs/set.h"

#define CERT_NAME_MAX	 253	       /* bytes of a host name (RFC 1035) */
#define CERT_NAMES_MAX	 100000	       /* in one folder; more are not seen */
#define CERT_SURVEY_STEP 4	       /* expiry dates read in one tick of the node */
#define CERT_SURVEY_MS	 (6 * 3600000) /* then they are read again */
#define CERT_WARN_DAYS	 21	       /* warn when fewer are left */

struct cert_folder;

int cert_folder_open(const char *path, size_t loaded_max, struct cert_folder **out,
		     struct err *e) MUST_CHECK;
void cert_folder_free(struct cert_folder **f);

/* Lower case, without a dot at the end; false: such a host name cannot be. */
bool cert_name_normal(const char *p, size_t n, char out[CERT_NAME_MAX + 1]);
/* Could there be one? Reads no file. */
bool cert_folder_knows(struct cert_folder *f, const char *name);
/* Borrowed until the next call; NULL: none that can be used. */
const struct cert_set *cert_folder_find(struct cert_folder *f, const char *name);

/* Reads the names again at once, and looks at every loaded file when it is next used. */
void cert_folder_reload(struct cert_folder *f, size_t loaded_max);
/* Reads a few expiry dates; warns in the log of those that end soon, once a day each. */
void cert_folder_survey(struct cert_folder *f);

size_t cert_folder_count(const struct cert_folder *f);	/* names */
size_t cert_folder_loaded(const struct cert_folder *f); /* of them, in memory */
/* Until when each is good, as far as it has been read. */
typedef void cert_expiry_fn(const char *name, int64_t not_after_s, void *arg);
void cert_folder_expiry(const struct cert_folder *f, cert_expiry_fn *fn, void *arg);
/* Loads each file anew, whatever is in memory, and tells of it; for a check by hand. */
typedef void cert_judge_fn(const char *file, int64_t not_after_s, const struct err *e,
			   void *arg);
void cert_folder_judge(const struct cert_folder *f, cert_judge_fn *fn, void *arg);

#endif
