/* JSON that holds passwords. */
#ifndef SYNC_JSON_WIPE_H
#define SYNC_JSON_WIPE_H

/* From now on jansson wipes all that it frees, in this process. Whoever wants it for a while
 * saves and sets back its functions. */
void json_wipe_freed(void);

#endif
