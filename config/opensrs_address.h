/* Where OpenSRS's Mail API is. */
#ifndef CONFIG_OPENSRS_ADDRESS_H
#define CONFIG_OPENSRS_ADDRESS_H

/* The API of cluster "A", "B" or "test"; a URL stays as it is. NULL: neither, or without TLS to
 * another host. The caller frees it. */
char *opensrs_address(const char *cluster);

#endif
