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
    char untagged[TAG_SENDER_SIZE];
    struct facts facts = {.sender = untagged};
    const struct stream *stream = NULL;
    struct tag tag;
    bool genuine = tag_find(sender, &tag) && tag_verify(conf->secret, &tag);

    if (genuine) {
        strcpy(id, tag.id);
        stream = snapshot_find_stream(conf->snapshot, tag.stream, strlen(tag.stream));
        if (stream != NULL)
            return stream; /* else a reload took it away while its mail was in the queue */
    }
    snprintf(untagged, sizeof(untagged), "%s", sender);
    tag_remove(untagged);
    if (!genuine) {
        strcpy(id, untagged);
        addr_lower(id);
    }
    return classify(conf->snapshot, &facts);
}

void
tagged_recipient(char id[static TAG_SENDER_SIZE], const char *recipient)
{
    if (id[0] != '\0')
        return;
    snprintf(id, TAG_SENDER_SIZE, "%s", recipient);
    addr_lower(id);
}
