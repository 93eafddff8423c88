/* Makes the commits of a process slow, failing or endless, as a control file says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SOUND, SLOW, FAILING, HANGING, HUNG };

/* Mapped, not read: obeying must need no descriptor and no memory. */
static volatile struct { int mode, value, affected; } *control;

__attribute__((constructor)) static void open_control(void)
{
    const char *path = getenv("BISTRO92_TEST_COMMITS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        control = mapped;
    close(file);
}

static int sync_as_told(const char *name, int file)
{
    int (*sync)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (!control)
        return sync(file);
    switch (control->mode) {
    case SLOW:
        control->affected++;
        usleep(control->value * 1000);
        break;
    case FAILING:
        control->affected++;
        errno = control->value;
        return -1;
    case HANGING:
        if (control->value-- > 0)
            break;
        control->mode = HUNG; /* and on: whoever syncs now never comes back */
    case HUNG:
        for (;;)
            pause();
    }
    return sync(file);
}

int fsync(int file) { return sync_as_told("fsync", file); }
int fdatasync(int file) { return sync_as_told("fdatasync", file); }
