/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/feedback_id.h"

#include "lib/err.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define STREAM "{stream}"
#define ACCOUNT "{account}"

static bool
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Each may stand in it once: Google adds up what is the same in two fields. */
int
feedback_id_check(const char *text, struct err *err)
{
    const char *last = strrchr(text, ':') != NULL ? strrchr(text, ':') + 1 : text;
    int fields = 1, streams = 0, accounts = 0;

    if (strlen(text) > FEEDBACK_ID_TEXT_MAX)
        return err_set(err, -EINVAL, "is longer than %d characters", (int)FEEDBACK_ID_TEXT_MAX);
    for (const char *at = text; *at != '\0'; at++) {
        fields += *at == ':';
        streams += begins(at, STREAM);
        accounts += begins(at, ACCOUNT);
        if (begins(at, STREAM) || begins(at, ACCOUNT))
            at = strchr(at, '}');
        else if (!isalnum((unsigned char)*at) && strchr(":-._", *at) == NULL)
            return err_set(
                err, -EINVAL,
                "has a \"%c\"; there may be letters, digits, \"-\", \".\", \"_\", " STREAM
                " and " ACCOUNT,
                isprint((unsigned char)*at) ? *at : '?');
    }
    if (fields > FEEDBACK_ID_FIELDS_MAX)
        return err_set(err, -EINVAL, "has %d fields between colons, there may be %d", fields,
                       (int)FEEDBACK_ID_FIELDS_MAX);
    if (streams > 1 || accounts > 1)
        return err_set(err, -EINVAL, "has " STREAM " or " ACCOUNT " twice");
    if (strchr(last, '{') != NULL || strlen(last) < FEEDBACK_ID_SENDER_MIN ||
        strlen(last) > FEEDBACK_ID_SENDER_MAX)
        return err_set(err, -EINVAL,
                       "its last field says who sends, in %d to %d characters, as in "
                       "\"" STREAM ":" ACCOUNT "::example\"",
                       (int)FEEDBACK_ID_SENDER_MIN, (int)FEEDBACK_ID_SENDER_MAX);
    return 0;
}

static char *
add_account(char *out, const char *account)
{
    for (size_t i = 0; account[i] != '\0' && i < FEEDBACK_ID_ACCOUNT_MAX; i++)
        *out++ = isalnum((unsigned char)account[i]) || strchr("-.", account[i]) != NULL ? account[i]
                                                                                        : '_';
    return out;
}

void
feedback_id_print(const char *text, const char *stream, const char *account,
                  char out[static FEEDBACK_ID_SIZE])
{
    while (*text != '\0')
        if (begins(text, STREAM)) {
            out = stpcpy(out, stream);
            text += strlen(STREAM);
        } else if (begins(text, ACCOUNT)) {
            out = add_account(out, account);
            text += strlen(ACCOUNT);
        } else {
            *out++ = *text++;
        }
    *out = '\0';
}
