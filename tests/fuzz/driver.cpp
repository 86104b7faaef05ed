// Runs a target on its corpus and on mutations of it. The same seed gives the same inputs. The input that is being
// tried lies in a mapped file, which a crash leaves behind.
//
//   fuzz_csv CORPUS [--executions N] [--seed S] [--failed FILE] [--found FOLDER]
//   fuzz_csv FILE          one input, as a crash left it
//
// With -fsanitize-coverage=trace-pc (scripts/fuzz.sh) an input that reaches new code joins the corpus. With --found it
// is also written into that folder, and what is there already is part of the corpus.

#include "tests/fuzz/driver.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

namespace {

constexpr size_t kCells = size_t{1} << 16;
uint8_t reached[kCells];  // by a hash of where the code is
bool reached_new = false;

}  // namespace

/// The compiler calls it at the beginning of each block. It calls nothing itself that would call it again.
extern "C" __attribute__((no_sanitize_coverage, no_sanitize("address", "undefined"))) void __sanitizer_cov_trace_pc() {
  const auto place = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  uint8_t& cell = reached[(place ^ (place >> 16)) % kCells];
  if (cell == 0) cell = reached_new = 1;
}

namespace sheaf::fuzz {

std::filesystem::path as_file(std::string_view bytes) {
  static const int file = ::memfd_create("input", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (file < 0 || ::ftruncate(file, 0) != 0 ||
      ::pwrite(file, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    fail("no file in memory");
  }
  return path;
}

void fail(const std::string& what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kMaxBytes = 4096;
constexpr double kMaxSeconds = 20.0;     // of one input; most take less than 0.1 ms
constexpr long kMaxKib = long{3} << 20;  // of the process; a sanitizer keeps what was freed
constexpr std::string_view kTokens[] = {"\"",
                                        ",",
                                        ";",
                                        "\n",
                                        "\r\n",
                                        "::",
                                        "\t",
                                        "#",
                                        "=",
                                        "[[",
                                        "]]",
                                        "{\"",
                                        "\":",
                                        "null",
                                        "nan",
                                        "inf",
                                        "-1",
                                        "0",
                                        "1e999",
                                        "1e-999",
                                        "9223372036854775807",
                                        "0x7f",
                                        "1_0",
                                        "'''",
                                        ".",
                                        "[",
                                        "]",
                                        "}",
                                        "{",
                                        "sep=;\n",
                                        "\xef\xbb\xbf",
                                        "\xff\xfe",
                                        "%Y",
                                        "%m",
                                        "%d",
                                        "%s",
                                        "%%",
                                        "\\u0000",
                                        "*",
                                        " ",
                                        "Comments",
                                        "2024-02-29",
                                        "18446744073709551616"};

/// The bytes of the input, in a file that outlives the process.
class LastInput {
 public:
  explicit LastInput(const std::string& path) : path_(path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || ::ftruncate(file, static_cast<off_t>(sizeof(uint64_t) + kMaxBytes)) != 0)
      fail("cannot write " + path);
    void* mapped = ::mmap(nullptr, sizeof(uint64_t) + kMaxBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    if (mapped == MAP_FAILED) fail("cannot map " + path);
    place_ = static_cast<uint8_t*>(mapped);
  }
  ~LastInput() { ::unlink(path_.c_str()); }
  LastInput(const LastInput&) = delete;
  LastInput& operator=(const LastInput&) = delete;
  void set(const Bytes& bytes) {
    const uint64_t size = bytes.size();
    std::memcpy(place_, &size, sizeof(size));
    std::ranges::copy(bytes, place_ + sizeof(size));
  }

 private:
  std::string path_;
  uint8_t* place_ = nullptr;
};

/// A file of LastInput begins with the number of its bytes.
Bytes read_input(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  Bytes bytes{std::istreambuf_iterator<char>(file), {}};
  uint64_t size = 0;
  if (bytes.size() == sizeof(size) + kMaxBytes) {
    std::memcpy(&size, bytes.data(), sizeof(size));
    bytes.erase(bytes.begin(), bytes.begin() + sizeof(size));
    bytes.resize(std::min<uint64_t>(size, kMaxBytes));
  }
  if (bytes.size() > kMaxBytes) bytes.resize(kMaxBytes);
  return bytes;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  Bytes mutated(const std::vector<Bytes>& corpus) {
    Bytes bytes = corpus[below(corpus.size())];
    for (size_t n = 1 + below(6); n > 0; --n) mutate(bytes, corpus);
    if (bytes.size() > kMaxBytes) bytes.resize(kMaxBytes);
    return bytes;
  }

 private:
  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }
  void insert(Bytes& bytes, std::string_view text) {
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size() + 1)), text.begin(), text.end());
  }
  void mutate(Bytes& bytes, const std::vector<Bytes>& corpus) {
    const size_t kind = below(8);
    if (bytes.empty() || kind == 0) return insert(bytes, kTokens[below(std::size(kTokens))]);
    const size_t at = below(bytes.size()), length = 1 + below(std::min<size_t>(bytes.size() - at, 64));
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last = first + static_cast<std::ptrdiff_t>(length);
    const auto text = [](const Bytes& part) { return std::string(part.begin(), part.end()); };
    switch (kind) {
      case 1: bytes[at] = static_cast<uint8_t>(bytes[at] ^ (1u << below(8))); break;
      case 2: bytes[at] = static_cast<uint8_t>(random_()); break;
      case 3: bytes.erase(first, last); break;
      case 4: insert(bytes, text(Bytes(first, last))); break;
      case 5: {
        const Bytes& other = corpus[below(corpus.size())];
        const size_t from = below(other.size() + 1);
        insert(bytes, text(Bytes(other.begin() + static_cast<std::ptrdiff_t>(from), other.end())));
        break;
      }
      case 6: {  // many of one token
        std::string many;
        const std::string_view token = kTokens[below(std::size(kTokens))];
        for (size_t n = 1 + below(200); n > 0; --n) many += token;
        insert(bytes, many);
        break;
      }
      default: {  // another digit
        const auto digit = std::ranges::find_if(first, bytes.end(), [](uint8_t c) { return c >= '0' && c <= '9'; });
        if (digit != bytes.end()) *digit = static_cast<uint8_t>('0' + below(10));
      }
    }
  }

  std::mt19937_64 random_;
};

struct Arguments {
  std::string corpus, failed, found;
  int64_t executions = 2000;
  uint64_t seed = 1;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  if (argc < 2 || argc % 2 != 0) fail("give a corpus, then --executions N, --seed S, --failed FILE, --found FOLDER");
  arguments.corpus = argv[1];
  arguments.failed = std::filesystem::path(argv[0]).filename().string() + ".input";
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--executions") {
      arguments.executions = std::strtoll(argv[i + 1], nullptr, 10);
    } else if (option == "--seed") {
      arguments.seed = std::strtoull(argv[i + 1], nullptr, 10);
    } else if (option == "--failed") {
      arguments.failed = argv[i + 1];
    } else if (option == "--found") {
      arguments.found = argv[i + 1];
    } else {
      fail("no option " + std::string(option));
    }
  }
  return arguments;
}

void run_one(const Bytes& bytes) {
  try {
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  } catch (const std::exception& error) {
    fail(std::string("an exception that is no sheaf::Error: ") + error.what());
  }
}

/// Appends the inputs of a folder in the order of their names; returns how many.
size_t add_inputs(const std::filesystem::path& folder, std::vector<Bytes>& corpus) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& file : files) corpus.push_back(read_input(file));
  return files.size();
}

void write_input(const std::filesystem::path& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) fail("cannot write " + path.string());
}

int run(const Arguments& arguments) {
  std::vector<Bytes> corpus;
  if (!std::filesystem::is_directory(arguments.corpus)) {
    run_one(read_input(arguments.corpus));
    return 0;
  }
  add_inputs(arguments.corpus, corpus);
  if (corpus.empty()) fail("no corpus in " + arguments.corpus);
  size_t n_found = 0;
  if (!arguments.found.empty()) {
    std::filesystem::create_directories(arguments.found);
    n_found = add_inputs(arguments.found, corpus);
  }

  LastInput last(arguments.failed);
  Mutator mutator(arguments.seed);
  const auto clock = [] { return std::chrono::steady_clock::now(); };
  const auto begin = clock();
  double slowest = 0.0;
  const size_t n_given = corpus.size();
  for (int64_t execution = 0; execution < arguments.executions; ++execution) {
    const Bytes bytes =
        execution < static_cast<int64_t>(n_given) ? corpus[static_cast<size_t>(execution)] : mutator.mutated(corpus);
    last.set(bytes);
    reached_new = false;
    const auto since = clock();
    run_one(bytes);
    slowest = std::max(slowest, std::chrono::duration<double>(clock() - since).count());
    if (slowest > kMaxSeconds) fail("an input takes " + std::to_string(slowest) + " s");
    if (reached_new && execution >= static_cast<int64_t>(n_given)) {
      corpus.push_back(bytes);
      if (!arguments.found.empty()) {
        write_input(std::filesystem::path(arguments.found) / (std::to_string(++n_found) + ".input"), bytes);
      }
    }
    struct rusage used {};
    if (execution % 64 == 0 && ::getrusage(RUSAGE_SELF, &used) == 0 && used.ru_maxrss > kMaxKib) {
      fail("more than 3 GiB of memory");
    }
  }
  struct rusage used {};
  ::getrusage(RUSAGE_SELF, &used);
  std::printf("%lld executions in %.1f s, the slowest %.3f s, %ld MiB at most, %zu inputs reach new code\n",
              static_cast<long long>(arguments.executions), std::chrono::duration<double>(clock() - begin).count(),
              slowest, used.ru_maxrss / 1024, corpus.size() - n_given);
  return 0;
}

}  // namespace
}  // namespace sheaf::fuzz

int main(int argc, char** argv) { return sheaf::fuzz::run(sheaf::fuzz::parse(argc, argv)); }
