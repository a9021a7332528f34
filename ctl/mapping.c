/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/mapping.h"

#include "engine/glob.h"
#include "engine/snapshot.h"
#include "lib/err.h"
#include "lib/known.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum mapping_by { BY_SENDER, BY_LOGIN, BY_CLIENT, BY_SERVICE };

struct mapping_rule {
    const struct stream *stream; /* not ours */
    enum mapping_by by;
    char *glob; /* owned; NULL with BY_CLIENT */
    struct ip_net net;
};

/* "login:app-*": by what, and *text is what stands behind. */
static enum mapping_by
take_by(const char **text)
{
    static const struct {
        const char *word;
        enum mapping_by by;
    } words[] = {{"login:", BY_LOGIN}, {"client:", BY_CLIENT}, {"service:", BY_SERVICE}};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strncmp(*text, words[i].word, strlen(words[i].word)) == 0) {
            *text += strlen(words[i].word);
            return words[i].by;
        }
    return BY_SENDER;
}

static int
no_stream(const struct snapshot *snapshot, const char *text, size_t length, struct err *err)
{
    char *name = mem_strndup(text, length);
    int r =
        err_set(err, -EINVAL, "there is no stream \"%s\"%s", name, known_streams(snapshot, name));

    free(name);
    return r;
}

int
mapping_add(struct mapping *mapping, const struct snapshot *snapshot, const char *text,
            struct err *err)
{
    const char *what = strchr(text, '=');
    struct mapping_rule rule = {0};

    if (what == NULL || what[1] == '\0')
        return err_set(err, -EINVAL,
                       "\"%s\" is not STREAM=SENDER, say bulk=*@news.example.com: also "
                       "STREAM=login:NAME, client:NETWORK or service:NAME",
                       text);
    rule.stream = snapshot_find_stream(snapshot, text, (size_t)(what - text));
    if (rule.stream == NULL)
        return no_stream(snapshot, text, (size_t)(what - text), err);
    what++;
    rule.by = take_by(&what);
    if (rule.by == BY_CLIENT && !ip_net_parse(what, &rule.net))
        return err_set(err, -EINVAL, "\"%s\" is no network, say 10.0.0.0/8", what);
    if (rule.by != BY_CLIENT)
        rule.glob = mem_strdup(what);
    mapping->rules = mem_resize(mapping->rules, mapping->count + 1, sizeof(rule));
    mapping->rules[mapping->count++] = rule;
    return 0;
}

static bool
fits(const struct mapping_rule *rule, const struct mapping_facts *facts)
{
    switch (rule->by) {
    case BY_SENDER:
        return facts->sender != NULL &&
               glob_match(rule->glob, facts->sender[0] != '\0' ? facts->sender : "<>", true);
    case BY_LOGIN:
        return facts->login != NULL && glob_match(rule->glob, facts->login, false);
    case BY_SERVICE:
        return facts->service != NULL && glob_match(rule->glob, facts->service, false);
    case BY_CLIENT:
        return ip_net_has(&rule->net, &facts->client);
    }
    return false;
}

const struct stream *
mapping_find(const struct mapping *mapping, const struct mapping_facts *facts)
{
    for (size_t i = 0; i < mapping->count; i++)
        if (fits(&mapping->rules[i], facts))
            return mapping->rules[i].stream;
    return NULL;
}

void
mapping_clear(struct mapping *mapping)
{
    for (size_t i = 0; i < mapping->count; i++)
        free(mapping->rules[i].glob);
    free(mapping->rules);
    *mapping = (struct mapping){0};
}
