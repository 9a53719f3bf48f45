/* Which program this is: "0.1-3f9ac2d1", the version and the start of the linker's build id. */
#ifndef COMMON_BUILD_H
#define COMMON_BUILD_H

#define BUILD_VERSION "0.1"

const char *build_name(void);

#endif
