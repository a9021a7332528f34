/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/apply.h"

#include "lib/err.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "transport-maps/cf.h"
#include "transport-maps/drain.h"
#include "transport-maps/files.h"
#include "transport-maps/plan.h"
#include "transport-maps/postfix.h"
#include "transport-maps/queue.h"
#include "transport-maps/service.h"
#include "transport-maps/site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* One apply_put() or apply_remove(). */
struct work {
    const struct apply *apply;
    const struct site *site;
    struct files before; /* what to go back to */
    struct files now;    /* what the files hold */
    bool running;        /* Postfix is */
    bool reloaded;       /* it has been told of something we wrote */
    int lock;
};

static void say(const struct work *work, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(const struct work *work, const char *format, ...)
{
    struct err sentence; /* a text of bounded size */
    va_list ap;

    va_start(ap, format);
    vsnprintf(sentence.msg, sizeof(sentence.msg), format, ap);
    va_end(ap);
    work->apply->say(work->apply->arg, sentence.msg);
}

/* The files with these parts of the plan; leftover: services that are kept a while. */
static struct files
planned_files(const struct apply *apply, unsigned parts, const char *leftover)
{
    const struct plan *plan = apply->plan;
    char *services = mem_printf("%s%s", plan->services, leftover);
    struct files files = {
        .main = plan_main(&apply->site->main, plan->params, plan->param_count, parts),
        .master =
            plan_master(&apply->site->master, plan->extras, plan->extra_count, services, parts),
    };

    for (size_t i = 0; i < TABLE_COUNT; i++)
        files.tables[i] = plan->tables[i].text != NULL ? mem_strdup(plan->tables[i].text) : NULL;
    free(services);
    return files;
}

bool
apply_is_current(const struct apply *apply)
{
    struct files wanted = planned_files(apply, PLAN_ALL, "");
    struct files present = files_present(apply->site);
    bool current = files_have(&present, &wanted) && files_have(&wanted, &present);

    files_clear(&present);
    files_clear(&wanted);
    return current;
}

static int
remove_tables(struct work *work, const struct files *wanted, struct err *err)
{
    int r = files_remove_tables(work->site, &work->now, wanted, err);

    if (r == 1)
        say(work, "%s/postpool has other files in it and stays", work->site->dir);
    return r < 0 ? r : 0;
}

static int
reload(struct work *work, struct err *err)
{
    int r = postfix_reload(work->site->dir, err);

    if (r == 0)
        work->reloaded = true;
    return r;
}

/* Bring the files to wanted and have Postfix take them; nothing happens when they are. */
static int
step(struct work *work, const struct files *wanted, struct err *err)
{
    int r;

    if (files_have(&work->now, wanted))
        return 0;
    r = files_write(work->site, &work->now, wanted, err);
    if (r == 0)
        r = postfix_read_back(work->site->dir, work->now.main, work->now.master, err);
    if (r == 0 && work->running)
        r = reload(work, err);
    return r;
}

/*
 * Put everything back as it was.  middle: the files with our base alone, for
 * the case that qmgr may already ask our resolver, which must not vanish under
 * it; or NULL.
 */
static void
roll_back(struct work *work, const struct files *middle)
{
    struct err err = {0};
    int r = 0;

    if (middle != NULL && work->reloaded) {
        r = files_write(work->site, &work->now, middle, &err);
        if (r == 0)
            r = postfix_reload(work->site->dir, &err);
    }
    if (r == 0)
        r = files_write(work->site, &work->now, &work->before, &err);
    if (r == 0 && work->reloaded)
        r = postfix_reload(work->site->dir, &err);
    if (r == 0)
        r = remove_tables(work, &work->before, &err);
    if (r < 0)
        say(work, "putting things back failed, too: %s", err.msg);
    else
        say(work, "all files are as they were%s",
            work->reloaded ? ", and Postfix has read them" : "");
}

/* Make sure that nobody else is at work here, or was since the files were read. */
static int
begin(struct work *work, const struct apply *apply, struct err *err)
{
    const struct site *site = apply->site;
    struct files now = {0};
    int r;

    *work = (struct work){.apply = apply, .site = site};
    work->before = files_present(site);
    work->now = files_copy(&work->before);
    work->lock = open(site->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (work->lock < 0)
        return err_set(err, -errno, "%s: %s", site->dir, strerror(errno));
    if (flock(work->lock, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, -errno, "another postpool is at work on %s", site->dir);
    r = file_read(site->main_path, &now.main, err);
    if (r == 0)
        r = file_read(site->master_path, &now.master, err);
    if (r == 0 && !files_have(&work->before, &now))
        r = err_set(err, -EAGAIN, "the files in %s have just been changed; try again", site->dir);
    files_clear(&now);
    work->running = r == 0 && postfix_runs(site->dir, site_expanded(site, "queue_directory"));
    return r;
}

static void
end(struct work *work)
{
    if (work->lock >= 0)
        close(work->lock);
    files_clear(&work->before);
    files_clear(&work->now);
}

/* The parts that the files have in blocks of ours now. */
static unsigned
present_parts(const struct site *site)
{
    unsigned parts = 0;

    for (size_t i = 0; i < site->main.param_count; i++)
        parts |= plan_param_part(&site->main.params[i]);
    for (size_t i = 0; i < site->master.extra_count; i++)
        parts |= plan_extra_part(&site->master.extras[i]);
    return parts;
}

/* Take out the services that the configuration has no more, once they are idle. */
static int
drop_leftover(struct work *work, const struct files *wanted, const char *leftover, struct err *err)
{
    struct cf_services services;
    struct drain drain = {.queue_directory = site_expanded(work->site, "queue_directory"),
                          .services = &services};
    size_t deliveries = 0;
    size_t intake = 0;
    int r;

    cf_services_parse(leftover, &services);
    if (work->running)
        drain_wait(&drain, &deliveries, &intake);
    if (deliveries > 0)
        say(work,
            "%zu deliveries through addresses that are gone were still under way after %d s and "
            "are cut short; their mail is tried again",
            deliveries, DRAIN_TIME_MAX_MS / 1000);
    r = step(work, wanted, err);
    if (r == 0)
        postfix_sweep(drain.queue_directory, &services);
    cf_services_clear(&services);
    return r;
}

static int
put_running(struct work *work, const struct files *base, const struct files *all,
            const struct files *final, const char *leftover, struct err *err)
{
    bool had_switch = (present_parts(work->site) & PLAN_SWITCH) != 0;
    const struct files *middle = NULL;
    int r = step(work, base, err);

    if (r == 0)
        r = postfix_wait_service(site_expanded(work->site, "queue_directory"), SERVICE_RESOLVER,
                                 err);
    if (r == 0) {
        if (!had_switch)
            middle = base;
        r = step(work, all, err);
    }
    if (r == 0 && *leftover != '\0')
        r = drop_leftover(work, final, leftover, err);
    if (r < 0)
        roll_back(work, middle);
    return r;
}

int
apply_put(const struct apply *apply, struct err *err)
{
    struct work work;
    char *leftover = plan_leftover(apply->plan, &apply->site->master);
    struct files base = planned_files(apply, PLAN_BASE | present_parts(apply->site), leftover);
    struct files all = planned_files(apply, PLAN_ALL, leftover);
    struct files final = planned_files(apply, PLAN_ALL, "");
    int r = begin(&work, apply, err);

    if (r < 0)
        goto out;
    if (work.running) {
        r = put_running(&work, &base, &all, &final, leftover, err);
    } else {
        r = step(&work, &final, err);
        if (r < 0)
            roll_back(&work, NULL);
    }
    if (r == 0)
        r = remove_tables(&work, &final, err);
    if (r == 0)
        say(&work, work.running ? "applied; Postfix has read it"
                                : "applied; Postfix does not run, it takes effect at its start");
out:
    end(&work);
    files_clear(&base);
    files_clear(&all);
    files_clear(&final);
    free(leftover);
    return r;
}

/* What is there now, without the switch and the milters. */
static struct files
base_of_present(const struct site *site)
{
    return (struct files){
        .main = plan_main(&site->main, site->main.params, site->main.param_count, PLAN_BASE),
        .master = plan_master(&site->master, site->master.extras, site->master.extra_count,
                              site->master.services, PLAN_BASE),
    };
}

/* Is there anything that needs our base yet?  0, -EBUSY, or another negative errno. */
static int
check_unused(struct work *work, struct err *err)
{
    struct cf_services services;
    struct drain drain = {.queue_directory = site_expanded(work->site, "queue_directory"),
                          .services = &services,
                          .intake_since = work->site->main_path};
    size_t deliveries = 0;
    size_t intake = 0;
    size_t tagged = 0;
    int r;

    cf_services_parse(work->site->master.services, &services);
    if (work->running)
        drain_wait(&drain, &deliveries, &intake);
    cf_services_clear(&services);
    if (deliveries > 0)
        return err_set(err, -EBUSY,
                       "%zu deliveries from the pools' addresses are under way and would be cut "
                       "short: run remove again when they are through, or with --force",
                       deliveries);
    if (intake > 0)
        return err_set(err, -EBUSY,
                       "%zu smtpd or cleanup processes still serve clients from before the "
                       "change and may tag mail: run remove again later, or with --force",
                       intake);
    r = queue_count_tagged(work->running ? work->site->dir : NULL,
                           site_expanded(work->site, "queue_directory"), &tagged, err);
    if (r == 0 && tagged > 0)
        return err_set(err, -EBUSY,
                       "%zu messages in the queue have a tag in their sender, which would be seen "
                       "outside: run remove again when they have left (postqueue -f tries them "
                       "now), or with --force",
                       tagged);
    return r;
}

/* The last step: everything out. */
static int
take_rest(struct work *work, const struct files *plain, struct err *err)
{
    struct cf_services services;
    int r;

    /* Going back means back to the base, which serves mail as long as it takes. */
    files_clear(&work->before);
    work->before = files_copy(&work->now);
    r = step(work, plain, err);
    if (r < 0) {
        roll_back(work, NULL);
        return r;
    }
    cf_services_parse(work->site->master.services, &services);
    postfix_sweep(site_expanded(work->site, "queue_directory"), &services);
    cf_services_clear(&services);
    return remove_tables(work, plain, err);
}

int
apply_remove(const struct apply *apply, struct err *err)
{
    struct work work;
    struct files base = base_of_present(apply->site);
    struct files plain = {.main = mem_strdup(apply->site->main.plain),
                          .master = mem_strdup(apply->site->master.plain)};
    int r = begin(&work, apply, err);

    if (r < 0)
        goto out;
    r = step(&work, &base, err);
    if (r < 0) {
        roll_back(&work, NULL);
        goto out;
    }
    r = check_unused(&work, err);
    if (r < 0 && apply->force) {
        say(&work, "%s -- going on, as --force says", err->msg);
        r = 0;
    }
    if (r < 0) {
        if (r == -EBUSY)
            say(&work, "no new mail is tagged or goes to a pool; the services and the table that "
                       "takes the tag out are still in place");
        goto out;
    }
    r = take_rest(&work, &plain, err);
    if (r == 0)
        say(&work, work.running ? "removed; Postfix has read it" : "removed");
out:
    end(&work);
    files_clear(&base);
    files_clear(&plain);
    return r;
}
