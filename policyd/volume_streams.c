/*
 * Streams have numbers under which their grants are counted, the same through
 * all reloads.  The first GRANTS_STREAMS - 1 names that there ever were have one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/grants.h"
#include "engine/snapshot.h"
#include "lib/mem.h"
#include "policyd/volume_inside.h"

#include <stdlib.h>
#include <string.h>

static uint16_t
number_of(struct volume *volume, const char *name)
{
    size_t i = 0;

    while (i < volume->stream_name_count && strcmp(volume->stream_names[i], name) != 0)
        i++;
    if (i == GRANTS_STREAMS - 1)
        return 0;
    if (i == volume->stream_name_count) {
        volume->stream_names = mem_resize(volume->stream_names, i + 1, sizeof(char *));
        volume->stream_names[volume->stream_name_count++] = mem_strdup(name);
    }
    return (uint16_t)(i + 1);
}

void
volume_number_streams(struct volume *volume, const struct snapshot *snapshot)
{
    free(volume->stream_numbers);
    volume->stream_numbers = mem_array(snapshot->stream_count, sizeof(uint16_t));
    for (size_t i = 0; i < snapshot->stream_count; i++)
        volume->stream_numbers[i] = number_of(volume, snapshot->streams[i].name);
}

void
volume_forget_streams(struct volume *volume)
{
    for (size_t i = 0; i < volume->stream_name_count; i++)
        free(volume->stream_names[i]);
    free(volume->stream_names);
    free(volume->stream_numbers);
}

size_t
volume_under_way(const struct volume *volume, const struct stream *stream)
{
    return grants_of_stream(volume->grants, volume->stream_numbers[stream->index]);
}
