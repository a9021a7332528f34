/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/tagged.h"

#include "engine/classify.h"

#include <stdio.h>
#include <string.h>

const struct stream *
tagged_stream(const struct conf *conf, const char *sender, char id[static TAG_SENDER_SIZE])
{
    struct facts facts = {.sender = sender};
    const struct stream *stream = NULL;
    struct tag tag;

    if (tag_find(sender, &tag) && tag_verify(conf->secret, &tag)) {
        strcpy(id, tag.id);
        stream = snapshot_find_stream(conf->snapshot, tag.stream, strlen(tag.stream));
    } else {
        snprintf(id, TAG_SENDER_SIZE, "%s", sender);
        addr_lower(id);
    }
    /* Also for a stream that a reload took away while its mail was in the queue. */
    return stream != NULL ? stream : classify(conf->snapshot, &facts);
}
