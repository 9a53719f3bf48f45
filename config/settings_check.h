/* What single values cannot show: settings that do not fit together, files that cannot be read.
 */
#ifndef CONFIG_SETTINGS_CHECK_H
#define CONFIG_SETTINGS_CHECK_H

#include "config/settings_scan.h"

void settings_check(const struct settings *s, const struct scan *scan, struct mistakes *m);

/* The part about DNS. */
void settings_check_opensrs(const struct settings *s, const struct scan *scan,
			    struct mistakes *m);
void settings_check_dns(const struct settings *s, const struct scan *scan, struct mistakes *m);

#endif
