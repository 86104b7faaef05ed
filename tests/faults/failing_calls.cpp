// A library for LD_PRELOAD: one call of the C library fails, or the process is killed in front of it. Calls count from
// the start of main, all threads together.
//
//   SHEAF_FAIL=NAME:N         the N-th call of NAME (from 1) fails, with the errno of the table below
//   SHEAF_FAIL=NAME:N+        that one and all later ones
//   SHEAF_FAIL=NAME:N!        the process is killed (SIGKILL) in place of the N-th call
//   SHEAF_FAIL_COUNTS=FILE    where the program ends by itself, the number of calls, a line each: NAME N
//   SHEAF_NO_EXCHANGE=1       renameat2 cannot exchange, as on some network file systems
//
// Alike calls count under one name: open also stands for openat, rename for renameat2, unlink for rmdir, malloc for
// calloc. scripts/failing_calls.py walks over them.

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {

enum Call {
  kOpen,
  kFopen,
  kRead,
  kWrite,
  kFsync,
  kClose,
  kRename,
  kMkdir,
  kUnlink,
  kOpendir,
  kMmap,
  kFlock,
  kThread,
  kRandom,
  kMalloc,
  kCalls
};
struct About {
  const char* name;
  int error;
};
constexpr About kAbout[kCalls] = {{"open", EMFILE},   {"fopen", EMFILE},   {"read", EIO},      {"write", ENOSPC},
                                  {"fsync", EIO},     {"close", EIO},      {"rename", EACCES}, {"mkdir", ENOSPC},
                                  {"unlink", EACCES}, {"opendir", EMFILE}, {"mmap", ENOMEM},   {"flock", ENOLCK},
                                  {"thread", EAGAIN}, {"random", ENOSYS},  {"malloc", ENOMEM}};

std::atomic<long> counts[kCalls];
std::atomic<bool> armed{false};
long fail_call = -1, fail_at = 0;
char fail_how = ' ';

/// Counts a call; whether it fails.
bool fails(Call call) {
  if (!armed.load(std::memory_order_relaxed)) return false;
  const long n = counts[call].fetch_add(1, std::memory_order_relaxed) + 1;
  if (call != fail_call || (fail_how == '+' ? n < fail_at : n != fail_at)) return false;
  if (fail_how == '!') {
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  }
  errno = kAbout[call].error;
  return true;
}

template <class F>
F* real(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

int (*main_of_program)(int, char**, char**);

void read_wishes() {
  const char* wish = std::getenv("SHEAF_FAIL");
  if (wish == nullptr) return;
  const char* colon = std::strchr(wish, ':');
  if (colon == nullptr) return;
  for (int call = 0; call < kCalls; ++call) {
    const char* name = kAbout[call].name;
    if (std::strlen(name) == static_cast<size_t>(colon - wish) && std::strncmp(name, wish, std::strlen(name)) == 0) {
      fail_call = call;
    }
  }
  char* end = nullptr;
  fail_at = std::strtol(colon + 1, &end, 10);
  fail_how = *end ? *end : ' ';
}

int counted_main(int argc, char** argv, char** environment) {
  read_wishes();
  armed = true;
  const int code = main_of_program(argc, argv, environment);
  armed = false;
  const char* path = std::getenv("SHEAF_FAIL_COUNTS");
  std::FILE* file = path == nullptr ? nullptr : std::fopen(path, "w");
  if (file == nullptr) return code;
  for (int call = 0; call < kCalls; ++call) std::fprintf(file, "%s %ld\n", kAbout[call].name, counts[call].load());
  std::fclose(file);
  return code;
}

int open_mode(int flags, va_list arguments) {
  return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0;
}

}  // namespace

// The C library's own declarations say `noexcept` and more; these must only have its names.
extern "C" {

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*rtld_fini)(), void* stack_end) {
  main_of_program = main;
  static const auto next = real<decltype(__libc_start_main)>("__libc_start_main");
  return next(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}

#define SHEAF_FAILING_OPEN(name)                          \
  int name(const char* path, int flags, ...) {            \
    va_list arguments;                                    \
    va_start(arguments, flags);                           \
    const int mode = open_mode(flags, arguments);         \
    va_end(arguments);                                    \
    if (fails(kOpen)) return -1;                          \
    static const auto next = real<decltype(name)>(#name); \
    return next(path, flags, mode);                       \
  }
#define SHEAF_FAILING_OPENAT(name)                         \
  int name(int folder, const char* path, int flags, ...) { \
    va_list arguments;                                     \
    va_start(arguments, flags);                            \
    const int mode = open_mode(flags, arguments);          \
    va_end(arguments);                                     \
    if (fails(kOpen)) return -1;                           \
    static const auto next = real<decltype(name)>(#name);  \
    return next(folder, path, flags, mode);                \
  }
SHEAF_FAILING_OPEN(open)
SHEAF_FAILING_OPEN(open64)
SHEAF_FAILING_OPENAT(openat)
SHEAF_FAILING_OPENAT(openat64)

#define SHEAF_FAILING(call, result, name, parameters, arguments, failed) \
  result name parameters {                                               \
    if (fails(call)) return failed;                                      \
    static const auto next = real<result parameters>(#name);             \
    return next arguments;                                               \
  }
SHEAF_FAILING(kFopen, FILE*, fopen, (const char* path, const char* mode), (path, mode), nullptr)
SHEAF_FAILING(kFopen, FILE*, fopen64, (const char* path, const char* mode), (path, mode), nullptr)
SHEAF_FAILING(kRead, ssize_t, read, (int file, void* to, size_t n), (file, to, n), -1)
SHEAF_FAILING(kWrite, ssize_t, write, (int file, const void* from, size_t n), (file, from, n), -1)
SHEAF_FAILING(kFsync, int, fsync, (int file), (file), -1)
SHEAF_FAILING(kRename, int, rename, (const char* from, const char* to) noexcept, (from, to), -1)
SHEAF_FAILING(kMkdir, int, mkdir, (const char* path, mode_t mode) noexcept, (path, mode), -1)
SHEAF_FAILING(kUnlink, int, unlink, (const char* path) noexcept, (path), -1)
SHEAF_FAILING(kUnlink, int, unlinkat, (int folder, const char* path, int flags) noexcept, (folder, path, flags), -1)
SHEAF_FAILING(kUnlink, int, rmdir, (const char* path) noexcept, (path), -1)
SHEAF_FAILING(kUnlink, int, remove, (const char* path) noexcept, (path), -1)
SHEAF_FAILING(kOpendir, DIR*, opendir, (const char* path), (path), nullptr)
SHEAF_FAILING(kOpendir, DIR*, fdopendir, (int file), (file), nullptr)
SHEAF_FAILING(kFlock, int, flock, (int file, int what) noexcept, (file, what), -1)
SHEAF_FAILING(kRandom, ssize_t, getrandom, (void* to, size_t n, unsigned flags), (to, n, flags), -1)
SHEAF_FAILING(kMmap, void*, mmap, (void* at, size_t n, int protection, int flags, int file, off_t from) noexcept,
              (at, n, protection, flags, file, from), MAP_FAILED)
SHEAF_FAILING(kMmap, void*, mmap64, (void* at, size_t n, int protection, int flags, int file, off64_t from) noexcept,
              (at, n, protection, flags, file, from), MAP_FAILED)
SHEAF_FAILING(kThread, int, pthread_create,
              (pthread_t * thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) noexcept,
              (thread, attributes, run, argument), EAGAIN)

/// Closes, too: the kernel frees the descriptor even where it reports a failure.
int close(int file) {
  static const auto next = real<int(int)>("close");
  const bool failed = fails(kClose);
  const int result = next(file);
  if (!failed) return result;
  errno = kAbout[kClose].error;
  return -1;
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  if (fails(kRename)) return -1;
  if (flags != 0 && std::getenv("SHEAF_NO_EXCHANGE") != nullptr) {
    errno = EINVAL;
    return -1;
  }
  static const auto next = real<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return next(from_folder, from, to_folder, to, flags);
}

void* malloc(size_t n) noexcept { return fails(kMalloc) ? nullptr : __libc_malloc(n); }
void* calloc(size_t n, size_t size) noexcept { return fails(kMalloc) ? nullptr : __libc_calloc(n, size); }
void* realloc(void* old, size_t n) noexcept { return fails(kMalloc) ? nullptr : __libc_realloc(old, n); }
void* memalign(size_t alignment, size_t n) noexcept { return fails(kMalloc) ? nullptr : __libc_memalign(alignment, n); }
void* aligned_alloc(size_t alignment, size_t n) noexcept {
  return fails(kMalloc) ? nullptr : __libc_memalign(alignment, n);
}
int posix_memalign(void** out, size_t alignment, size_t n) noexcept {
  void* got = fails(kMalloc) ? nullptr : __libc_memalign(alignment, n);
  if (got == nullptr) return ENOMEM;
  *out = got;
  return 0;
}

}  // extern "C"
