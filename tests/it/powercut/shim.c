/* A card that can fail, under an unchanged program (LD_PRELOAD).
 *
 * SHIM_ROOT     the data folder; only files below it are touched
 * SHIM_SHADOW   folder that gets what is durable: files/<key> = content at the last fsync or fdatasync of that file,
 *               dirs/<key> = names at the last fsync of that folder; a key is inode and birth time.
 *               sync_file_range makes nothing durable (it flushes no disk cache and no metadata, sync_file_range(2)).
 * SHIM_BOOT_ID  file to be read in the place of /proc/sys/kernel/random/boot_id
 * SHIM_CONTROL  file of two 64-bit integers, mapped, so that a test can change them while the program runs:
 *               seconds added to CLOCK_REALTIME; fault: 0 none, 1 card full (ENOSPC), 2 read-only (EROFS), 3 syncs hang
 *
 * Calls that do not go through libc (raw system calls) are not seen: the program must sync through std.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum fault { NONE = 0, FULL = 1, READ_ONLY = 2, HANGING = 3 };

static _Atomic int64_t *control; /* [0] clock offset in seconds, [1] fault */

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("SHIM_CONTROL");
    if (!path) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    void *map = mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED) control = map;
}

static int64_t fault(void) { return control ? atomic_load(&control[1]) : NONE; }

/* Whether a path is the data folder or below it. */
static int is_below_root(const char *path) {
    const char *root = getenv("SHIM_ROOT");
    size_t length = root ? strlen(root) : 0;
    return length && strncmp(path, root, length) == 0 && (path[length] == 0 || path[length] == '/');
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static int is_ours(int fd) {
    char path[PATH_MAX];
    return path_of(fd, path) && is_below_root(path);
}

/* The same for a path that may be relative to a folder. */
static int is_ours_at(int folder, const char *path) {
    if (!path) return 0;
    return path[0] == '/' || folder == AT_FDCWD ? is_below_root(path) : is_ours(folder);
}

static int refuses_write(int fd) {
    int64_t now = fault();
    if ((now != FULL && now != READ_ONLY) || !is_ours(fd)) return 0;
    errno = now == FULL ? ENOSPC : EROFS;
    return 1;
}

static int refuses_name(int folder, const char *path) {
    int64_t now = fault();
    if ((now != FULL && now != READ_ONLY) || !is_ours_at(folder, path)) return 0;
    errno = now == FULL ? ENOSPC : EROFS;
    return 1;
}

/* ---- what is durable ---- */

static int key_at(int folder, const char *name, int flags, char *key, size_t size, mode_t *mode) {
    struct statx st;
    if (statx(folder, name, flags | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME | STATX_TYPE, &st) != 0) return 0;
    long long seconds = st.stx_mask & STATX_BTIME ? (long long)st.stx_btime.tv_sec : 0;
    unsigned nanos = st.stx_mask & STATX_BTIME ? st.stx_btime.tv_nsec : 0;
    snprintf(key, size, "%llu-%lld-%u", (unsigned long long)st.stx_ino, seconds, nanos);
    *mode = st.stx_mode;
    return 1;
}

/* Writes beside and renames, so that a kill leaves the shadow of before or after. */
static void keep(const char *kind, const char *key, void (*fill)(int out, int fd), int fd) {
    static _Atomic unsigned serial;
    const char *shadow = getenv("SHIM_SHADOW");
    char aside[PATH_MAX], place[PATH_MAX];
    snprintf(aside, sizeof aside, "%s/aside-%d-%u", shadow, (int)getpid(), atomic_fetch_add(&serial, 1));
    snprintf(place, sizeof place, "%s/%s/%s", shadow, kind, key);
    int out = (int)syscall(SYS_openat, AT_FDCWD, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0) return;
    fill(out, fd);
    close(out);
    syscall(SYS_renameat, AT_FDCWD, aside, AT_FDCWD, place);
}

static void fill_file(int out, int fd) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd); /* the handle may be write-only */
    int in = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (in < 0) return;
    char piece[65536];
    ssize_t got;
    while ((got = read(in, piece, sizeof piece)) > 0)
        if (syscall(SYS_write, out, piece, got) != got) break;
    close(in);
}

static void fill_folder(int out, int fd) {
    int again = (int)syscall(SYS_openat, fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (!dir) return;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        char key[96], line[PATH_MAX];
        mode_t mode;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (!key_at(again, entry->d_name, 0, key, sizeof key, &mode)) continue;
        int length = snprintf(line, sizeof line, "%s %c %s\n", key, S_ISDIR(mode) ? 'd' : 'f', entry->d_name);
        if (syscall(SYS_write, out, line, length) != length) break;
    }
    closedir(dir);
}

static int sync_of(int fd) {
    char key[96];
    mode_t mode;
    if (!is_ours(fd)) return 0; /* nobody's power is cut there */
    while (fault() == HANGING) usleep(1000);
    if (refuses_write(fd)) return -1;
    if (getenv("SHIM_SHADOW") && key_at(fd, "", AT_EMPTY_PATH, key, sizeof key, &mode)) {
        if (S_ISDIR(mode)) keep("dirs", key, fill_folder, fd);
        else if (S_ISREG(mode)) keep("files", key, fill_file, fd);
    }
    return 0;
}

int fsync(int fd) { return sync_of(fd); }
int fdatasync(int fd) { return sync_of(fd); }

/* ---- clock and boot id ---- */

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && control) now->tv_sec += atomic_load(&control[0]);
    return result;
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    const char *boot_id = getenv("SHIM_BOOT_ID");
    if (boot_id && path && !strcmp(path, "/proc/sys/kernel/random/boot_id")) path = boot_id;
    /* A full card still opens what is there; a read-only one opens nothing for writing. */
    int creates = flags & O_CREAT, writes = (flags & O_ACCMODE) != O_RDONLY || creates;
    if ((fault() == READ_ONLY && writes) || (fault() == FULL && creates && access(path, F_OK) != 0))
        if (refuses_name(folder, path)) return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE_OF(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, last); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags, flags) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags, flags) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE_OF(flags, flags) return open_at(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE_OF(flags, flags) return open_at(dir, path, flags, mode); }

/* ---- a card that takes nothing ---- */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define GUARD_FD(type, name, parameters, arguments) \
    type name parameters { \
        if (refuses_write(fd)) return -1; \
        return REAL(name) arguments; \
    }

GUARD_FD(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
GUARD_FD(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
GUARD_FD(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
GUARD_FD(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
GUARD_FD(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at))
GUARD_FD(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at))
GUARD_FD(int, ftruncate, (int fd, off_t size), (fd, size))
GUARD_FD(int, ftruncate64, (int fd, off64_t size), (fd, size))

int posix_fallocate(int fd, off_t at, off_t size) {
    return refuses_write(fd) ? errno : REAL(posix_fallocate)(fd, at, size);
}

#define GUARD_NAME(name, parameters, folder, path, arguments) \
    int name parameters { \
        if (refuses_name(folder, path)) return -1; \
        return REAL(name) arguments; \
    }

GUARD_NAME(mkdir, (const char *path, mode_t mode), AT_FDCWD, path, (path, mode))
GUARD_NAME(mkdirat, (int dir, const char *path, mode_t mode), dir, path, (dir, path, mode))

/* A full card can still delete and rename. */
#define GUARD_CHANGE(name, parameters, folder, path, arguments) \
    int name parameters { \
        if (fault() == READ_ONLY && refuses_name(folder, path)) return -1; \
        return REAL(name) arguments; \
    }

GUARD_CHANGE(rename, (const char *path, const char *to), AT_FDCWD, path, (path, to))
GUARD_CHANGE(renameat, (int dir, const char *path, int to_dir, const char *to), dir, path, (dir, path, to_dir, to))
GUARD_CHANGE(unlink, (const char *path), AT_FDCWD, path, (path))
GUARD_CHANGE(unlinkat, (int dir, const char *path, int flags), dir, path, (dir, path, flags))
GUARD_CHANGE(rmdir, (const char *path), AT_FDCWD, path, (path))
