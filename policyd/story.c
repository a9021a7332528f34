/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/story.h"

#include "engine/decide.h"
#include "engine/snapshot.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/tag.h"
#include "policyd/feedback.h"
#include "policyd/lookup.h"
#include "policyd/outcome.h"
#include "policyd/ring.h"
#include "policyd/story_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct story {
    struct ring *ring;
};

struct story *
story_new(void)
{
    struct story *story = mem_new(sizeof(*story));

    story->ring = ring_new();
    return story;
}

void
story_free(struct story *story)
{
    if (story == NULL)
        return;
    ring_free(story->ring);
    free(story);
}

/* ---------------------------------------------------------- what happens */

/* "a1 no room under a cap, a2 ...": those that were passed over. */
static void
print_refused(const struct decision *decision, char *text, size_t size)
{
    char why[CANDIDATE_TEXT_SIZE];
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < decision->candidate_count && length < size; i++) {
        const struct candidate *candidate = &decision->candidates[i];

        if (candidate->verdict == VERDICT_TAKEN || candidate->verdict == VERDICT_NOT_ASKED)
            continue;
        length += (size_t)snprintf(
            text + length, size - length, "%s%s%s: %s", length > 0 ? ", " : "",
            candidate->address != NULL ? "" : "pool ",
            candidate->address != NULL ? candidate->address->name : candidate->pool->name,
            candidate_text(candidate, why));
    }
    if (decision->omitted > 0 && length < size)
        snprintf(text + length, size - length, ", and %zu more", decision->omitted);
}

void
story_on_decided(void *arg, const struct lookup_result *result, const struct decision *decision,
                 const char *id, const char *recipient, const char *reply)
{
    struct story *story = arg;
    struct ring_event event = {
        .kind = RING_DECIDED,
        .at_ms = clock_ms(CLOCK_REALTIME_COARSE),
        .message_id = id,
        .recipient = recipient,
        .stream = result->stream->name,
        .address = result->address != NULL ? result->address->name : NULL,
        .delay_ms = -1,
    };
    char text[RING_TEXT_MAX + 1];

    if (result->again)
        event.text = result->kept ? "chosen when it was woken" : "asked again, counted once";
    if (decision != NULL) {
        print_refused(decision, text, sizeof(text));
        event.text = text;
        event.result = decision->pool != NULL ? decision->pool->name : NULL;
    }
    if (result->address == NULL) /* "OK retry:4.7.1 ..." */
        event.rule = strncmp(reply, "OK ", 3) == 0 ? reply + 3 : reply;
    ring_add(story->ring, &event);
}

void
story_on_outcome(void *arg, const struct outcome *outcome)
{
    static const char *const results[] = {
        [MAILLOG_SENT] = "sent", [MAILLOG_DEFERRED] = "deferred", [MAILLOG_BOUNCED] = "bounced"};
    struct story *story = arg;
    char text[RING_TEXT_MAX + 1];

    snprintf(text, sizeof(text), "%.*d%s%s%s%.450s", outcome->reply.code > 0 ? 3 : 0,
             outcome->reply.code, outcome->reply.code > 0 ? " " : "", outcome->reply.enhanced,
             outcome->reply.enhanced[0] != '\0' ? " " : "", outcome->reply.text);
    ring_add(story->ring, &(struct ring_event){
                              .kind = RING_RESULT,
                              .at_ms = outcome->at_ms,
                              .message_id = outcome->message_id,
                              .queue_id = outcome->queue_id,
                              .recipient = outcome->recipient,
                              .stream = outcome->stream->name,
                              .address = outcome->address != NULL ? outcome->address->name : NULL,
                              .result = outcome->rescued   ? "rescued"
                                        : outcome->expired ? "expired"
                                                           : results[outcome->status],
                              .rule = outcome->rule != NULL ? outcome->rule->name : NULL,
                              .text = text,
                              .delay_ms = outcome->delay_ms,
                          });
}

void
story_note(struct story *story, const char *message_id, const char *text)
{
    ring_add(story->ring, &(struct ring_event){.kind = RING_NOTE,
                                               .at_ms = clock_ms(CLOCK_REALTIME_COARSE),
                                               .message_id = message_id,
                                               .text = text,
                                               .delay_ms = -1});
}

/* --------------------------------------------------------------- questions */

/* What is asked for; texts are of the question. */
struct wanted {
    int64_t from;
    bool json;
    char stream[STREAM_NAME_MAX + 1];
    char address[ADDRESS_NAME_MAX + 1];
    char id[TAG_SENDER_SIZE]; /* of the message */
    struct buf *answer;
    size_t count;
    uint64_t last;
};

/* "NAME" behind "stream=", if word is that and NAME fits. */
static bool
take_value(const char *word, const char *key, char *place, size_t size)
{
    size_t length = strlen(key);

    if (strncmp(word, key, length) != 0 || word[length] == '\0' || strlen(word + length) >= size)
        return false;
    strcpy(place, word + length);
    return true;
}

/* The words behind the first. */
static bool
parse_words(char *words, struct wanted *wanted)
{
    char *next = words;

    for (char *word = strsep(&next, " "); word != NULL; word = strsep(&next, " "))
        if (strcmp(word, "json") == 0)
            wanted->json = true;
        else if (!take_value(word, "stream=", wanted->stream, sizeof(wanted->stream)) &&
                 !take_value(word, "address=", wanted->address, sizeof(wanted->address)))
            return false;
    return true;
}

static bool
on_tail(void *arg, const struct ring_event *event)
{
    struct wanted *wanted = arg;

    wanted->last = event->number;
    if ((wanted->stream[0] != '\0' && strcmp(wanted->stream, event->stream) != 0) ||
        (wanted->address[0] != '\0' && strcmp(wanted->address, event->address) != 0))
        return true;
    (wanted->json ? story_print_json : story_print_line)(wanted->answer, event);
    return ++wanted->count < STORY_ANSWER_MAX;
}

static void
answer_tail(struct story *story, char *words, struct buf *answer)
{
    uint64_t newest = ring_newest(story->ring), from;
    struct wanted wanted = {.answer = &(struct buf){0}};
    char *end;

    wanted.from = strtoll(words, &end, 10);
    if (strncmp(words, "now", 3) == 0) {
        wanted.from = (int64_t)newest;
        end = words + 3;
    }
    if (end == words || (*end != ' ' && *end != '\0') ||
        (*end == ' ' && !parse_words(end + 1, &wanted))) {
        buf_puts(answer, "error: tail FROM [json] [stream=NAME] [address=NAME]");
        return;
    }
    if (wanted.from < 0)
        from = 0 - (uint64_t)wanted.from < newest ? newest + (uint64_t)wanted.from : 0;
    else /* after a restart numbers begin anew */
        from = (uint64_t)wanted.from <= newest ? (uint64_t)wanted.from : 0;
    wanted.last = from;
    ring_each(story->ring, from, on_tail, &wanted);
    buf_printf(answer, "%" PRIu64 "\n%s", wanted.last, buf_text(wanted.answer));
    buf_clear(wanted.answer);
}

/* The message that has, or had last, a queue id: ids come again. */
struct found {
    const char *queue_id;
    char id[TAG_SENDER_SIZE]; /* "": none */
};

static bool
on_find(void *arg, const struct ring_event *event)
{
    struct found *found = arg;

    if (event->kind == RING_RESULT && strcmp(event->queue_id, found->queue_id) == 0)
        snprintf(found->id, sizeof(found->id), "%s", event->message_id);
    return true;
}

static bool
on_story(void *arg, const struct ring_event *event)
{
    struct wanted *wanted = arg;

    if (strcmp(event->message_id, wanted->id) != 0)
        return true;
    if (wanted->count == 0 && !wanted->json)
        buf_printf(wanted->answer, "message %s, stream %s\n", wanted->id, event->stream);
    (wanted->json ? story_print_json : story_print_line)(wanted->answer, event);
    return ++wanted->count < STORY_ANSWER_MAX;
}

static void
answer_story(struct story *story, struct feedback *feedback, char *words, struct buf *answer)
{
    struct wanted wanted = {.answer = answer};
    char *rest = words + strcspn(words, " ");
    struct found found = {.queue_id = words};

    if (*rest == ' ')
        *rest++ = '\0';
    if (words[0] == '\0' || (rest[0] != '\0' && !parse_words(rest, &wanted))) {
        buf_puts(answer, "error: story ID [json]");
        return;
    }
    if (feedback == NULL || !feedback_message_id(feedback, words, found.id))
        ring_each(story->ring, 0, on_find, &found);
    snprintf(wanted.id, sizeof(wanted.id), "%s", found.id[0] != '\0' ? found.id : words);
    ring_each(story->ring, 0, on_story, &wanted);
    if (wanted.count == 0)
        buf_printf(answer,
                   "error: nothing is known of %s: it is neither a queue id nor a message id of "
                   "late, or no recipient of it was asked for",
                   words);
}

bool
story_question(struct story *story, struct feedback *feedback, const char *question,
               struct buf *answer)
{
    bool tail = strncmp(question, "tail ", 5) == 0;
    char *words;

    if (!tail && strncmp(question, "story ", 6) != 0)
        return false;
    words = mem_strdup(question + (tail ? 5 : 6));
    if (tail)
        answer_tail(story, words, answer);
    else
        answer_story(story, feedback, words, answer);
    free(words);
    return true;
}
