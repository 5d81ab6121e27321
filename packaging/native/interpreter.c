/* The interpreter with everything frozen into it.  In front of it stands front/, which comes here by
 * go_on() in the place of its behind.c; without it, this is the whole executable.
 *
 * The interpreter is isolated: no variable PYTHON..., no site, no import from
 * the disk, and UTF-8 whatever the locale.
 */
#include <Python.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

extern const struct _frozen frozen_modules[];
extern const unsigned char frozen_data[];
extern const size_t frozen_data_size;

static _Noreturn void
fail(const char *reason)
{
    fprintf(stderr, "docker-credential-ecr: error: %s\n", reason);
    _exit(1);
}

static void
check(PyStatus status)
{
    if (PyStatus_IsExit(status)) {
        _exit(status.exitcode);
    }
    if (PyStatus_Exception(status)) {
        fail(status.err_msg != NULL ? status.err_msg : "the interpreter does not start");
    }
}

/* The module _linked: data() is a view of what freeze_data.py wrote. */

static PyObject *
linked_data(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(unused))
{
    return PyMemoryView_FromMemory((char *)frozen_data, (Py_ssize_t)frozen_data_size, PyBUF_READ);
}

static PyMethodDef linked_methods[] = {
    {"data", linked_data, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef linked_module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_linked",
    .m_size = 0,
    .m_methods = linked_methods,
};

static PyObject *
linked_init(void)
{
    return PyModuleDef_Init(&linked_module);
}

/* The executable's own path, for a renewal to start it once more. The kernel
 * says how it was named, so that /proc may be missing; a link stays a link,
 * and leads to the new one after an upgrade. */
static const char *
own_path(const char *argv0)
{
    static char path[2 * PATH_MAX];
    const char *named = (const char *)getauxval(AT_EXECFN);
    if (named == NULL) {
        named = argv0;
    }
    if (named[0] == '/' || getcwd(path, PATH_MAX) == NULL) {
        return named;
    }
    size_t length = strlen(path);
    if (strlen(named) + 2 > sizeof(path) - length) {
        return named;
    }
    path[length] = '/';
    strcpy(path + length + 1, named);
    return path;
}

static void
set(PyConfig *config, wchar_t **field, const char *value)
{
    check(PyConfig_SetBytesString(config, field, value));
}

static void
start(int argc, char **argv)
{
    PyPreConfig preconfig;
    PyPreConfig_InitIsolatedConfig(&preconfig);
    preconfig.utf8_mode = 1;
    check(Py_PreInitialize(&preconfig));

    PyImport_FrozenModules = frozen_modules;
    if (PyImport_AppendInittab("_linked", linked_init) < 0) {
        fail("no memory");
    }
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.install_signal_handlers = 1; /* an interrupt ends it as it ends pip's */
    config.optimization_level = 2;      /* as the modules were compiled */
    config.pathconfig_warnings = 0;
    config.site_import = 0;
    config.use_frozen_modules = 1;
    config.write_bytecode = 0;
    config.module_search_paths_set = 1; /* to none */
    const char *path = own_path(argc > 0 ? argv[0] : "");
    set(&config, &config.program_name, path);
    set(&config, &config.executable, path);
    set(&config, &config.base_executable, path);
    set(&config, &config.prefix, "/");
    set(&config, &config.base_prefix, "/");
    set(&config, &config.exec_prefix, "/");
    set(&config, &config.base_exec_prefix, "/");
    set(&config, &config.stdlib_dir, "");
    set(&config, &config.platlibdir, "lib");
    check(PyConfig_SetBytesArgv(&config, argc, argv));
    check(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
}

/* Leave by the program's own way out. */
static _Noreturn void
run(int argc, char **argv)
{
    start(argc, argv);
    if (PyImport_ImportModule("_program") == NULL) {
        PyErr_Print();
    }
    _exit(1);
}

#if __has_include("front.h")
#include "front.h"

/* Put what was read of stdin back in front of it; there is no more that Python would read. */
static bool
replay(Text request)
{
    int source = memfd_create("request", MFD_CLOEXEC);
    if (source < 0) {
        return false;
    }
    bool is_whole = write(source, request.start, request.length) == (ssize_t)request.length
                    && lseek(source, 0, SEEK_SET) == 0 && dup2(source, 0) == 0;
    close(source);
    return is_whole;
}

int
go_on(int argc, char **argv, Text request, bool was_read)
{
    if (was_read && !replay(request)) {
        fail("the request cannot be handed on");
    }
    /* From here on an interrupt is Python's: it has processes and locks to look after. */
    if (signal(SIGINT, SIG_DFL) == SIG_IGN) {
        signal(SIGINT, SIG_IGN);
    }
    run(argc, argv);
}
#else
int
main(int argc, char **argv)
{
    run(argc, argv);
}
#endif
