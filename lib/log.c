/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

static const char *log_ident = "postpool";
static bool log_to_stderr = true;
static bool log_debugging;
static bool log_to_journal; /* standard error is the journal's: it adds name and process */

/* systemd names the file that it reads: sd_journal_stream_fd(3), systemd.exec(5). */
static bool
is_journal(int fd)
{
    const char *name = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    return name != NULL && sscanf(name, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

void
log_open(const char *ident, bool to_stderr)
{
    log_ident = ident;
    log_to_stderr = to_stderr;
    log_to_journal = to_stderr && is_journal(STDERR_FILENO);
    if (!to_stderr)
        openlog(ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

void
log_set_debug(bool on)
{
    log_debugging = on;
}

/* One write(2) for the line, so that threads do not mix theirs. */
static void
write_line(int level, const char *word, const char *text)
{
    char line[2200];
    int length = log_to_journal ? snprintf(line, sizeof(line), "<%d>%s%s\n", level, word, text)
                                : snprintf(line, sizeof(line), "%s[%ld]: %s%s\n", log_ident,
                                           (long)getpid(), word, text);

    if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
        return; /* nowhere left to say it */
}

static void
say(int level, const char *word, const char *format, va_list ap)
{
    char text[2048];

    vsnprintf(text, sizeof(text), format, ap);
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    if (log_to_stderr)
        write_line(level, word, text);
    else
        syslog(level, "%s%s", word, text);
}

#define LOG_FUNCTION(name, level, word) \
    void name(const char *format, ...)  \
    {                                   \
        va_list ap;                     \
                                        \
        va_start(ap, format);           \
        say(level, word, format, ap);   \
        va_end(ap);                     \
    }

LOG_FUNCTION(log_error, LOG_ERR, "error: ")
LOG_FUNCTION(log_warn, LOG_WARNING, "warning: ")
LOG_FUNCTION(log_info, LOG_INFO, "")

void
log_debug(const char *format, ...)
{
    va_list ap;

    if (!log_debugging)
        return;
    va_start(ap, format);
    say(LOG_DEBUG, "debug: ", format, ap);
    va_end(ap);
}
