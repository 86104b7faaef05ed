// Bundle problems. The first byte chooses the format. A problem that is read, written and read again stays the same.

#include "host/problems/problem_file.hpp"
#include "host/problems/write_problem.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;
using problems::ProblemFormat;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text = fuzz::as_text(data + 1, size - 1);
  return fuzz::expect_error_or_none([&] {
    if (data[0] % 4 == 3) {
      (void)problems::read_pareto(fuzz::as_file(text));
      return;
    }
    const auto format = static_cast<ProblemFormat>(data[0] % 4);
    const problems::ProblemFile file = problems::read_problem(fuzz::as_file(text), format, false);
    const std::string written = problems::problem_toml(file.problem);
    std::string again;
    try {
      again =
          problems::problem_toml(problems::read_problem(fuzz::as_file(written), ProblemFormat::toml, false).problem);
    } catch (const Error& error) {
      fuzz::fail(std::string("a problem that was written is not read: ") + error.what() + "\n" + written);
    }
    if (again != written) fuzz::fail("a problem changes when it is written and read");
  });
}
