#include "host/problems/utility_file.hpp"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "engine/data/shown.hpp"
#include "engine/optimize/problem.hpp"
#include "host/problems/problem_text.hpp"
#include "host/text/read_text.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::problems {
namespace {

constexpr size_t kMaxLineBytes = size_t{1} << 20;
constexpr double kSumTolerance = 1e-6;   // of the larger of both and 1: decimals of the file
constexpr double kMostExact = 0x1.0p53;  // sums of whole numbers up to it are exact

struct Entry {
  int64_t id;
  double worth;
};

/// A line of the file, for messages.
struct Line {
  const std::filesystem::path& path;
  int64_t number;

  [[noreturn]] void fail(const std::string& what, const std::string& mend) const {
    throw DataError(fmt::format("{} line {}: {}", path.string(), number, what), mend);
  }
};

/// Calls `take` for each part in turn.
template <class Take>
void split(std::string_view text, char separator, const Take& take) {
  for (size_t first = 0; first <= text.size();) {
    const size_t last = std::min(text.find(separator, first), text.size());
    take(text.substr(first, last - first));
    first = last + 1;
  }
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  split(text, ' ', [&](std::string_view word) {
    if (!word.empty()) words.push_back(word);
  });
  return words;
}

int64_t read_id(const Line& line, std::string_view word) {
  int64_t id = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (error != std::errc() || end != word.data() + word.size() || id < 0) {
    line.fail(fmt::format("'{}' is no item", text::shown(word)), "items are whole numbers from 0");
  }
  return id;
}

double read_worth(const Line& line, std::string_view word) {
  double worth = 0.0;
  const auto [end, error] = fast_float::from_chars(word.data(), word.data() + word.size(), worth);
  if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(worth) || worth < 0.0) {
    line.fail(fmt::format("'{}' is no utility", text::shown(word)), "utilities are numbers that are not negative");
  }
  if (worth > kMaxNumber) {
    line.fail(fmt::format("the utility {} is beyond {:g}", text::shown(word), kMaxNumber),
              "give all utilities in a larger unit");
  }
  if (is_rounded(word, worth)) {
    line.fail(fmt::format("the utility {} is one that a double rounds to {:.0f}", text::shown(word), worth),
              kRoundedMend);
  }
  return worth;
}

std::vector<Entry> read_line(const Line& line, std::string_view text) {
  if (text.size() > kMaxLineBytes) {
    line.fail(fmt::format("the line has {} bytes, more than {}", text.size(), kMaxLineBytes),
              "is this a file of transactions with utilities?");
  }
  std::vector<std::string_view> parts;
  split(text, ':', [&](std::string_view part) { parts.push_back(part); });
  if (parts.size() != 3) line.fail("not three parts between colons", "write items:total:utilities");
  const std::vector<std::string_view> items = words_of(parts[0]), worths = words_of(parts[2]),
                                      total = words_of(parts[1]);
  if (items.size() != worths.size()) {
    line.fail(fmt::format("{} items, but {} utilities", items.size(), worths.size()), "give one an item");
  }
  if (total.size() != 1) line.fail("the total is not one number", "write the sum of the utilities");
  std::vector<Entry> entries;
  double sum = 0.0;
  bool whole = true;
  for (size_t i = 0; i < items.size(); ++i) {
    const double worth = read_worth(line, worths[i]);
    sum += worth;
    whole = whole && worth == std::floor(worth);
    entries.push_back({read_id(line, items[i]), worth});
  }
  const double stated = read_worth(line, total[0]);
  whole = whole && stated == std::floor(stated) && sum <= kMostExact;
  if (std::abs(stated - sum) > (whole ? 0.0 : kSumTolerance * std::max({1.0, stated, sum}))) {
    line.fail(fmt::format("the total is {}, but the utilities add up to {}", stated, sum), "mend one of them");
  }
  std::ranges::sort(entries, std::ranges::less{}, &Entry::id);
  const auto twice = std::ranges::adjacent_find(entries, std::ranges::equal_to{}, &Entry::id);
  if (twice != entries.end()) line.fail(fmt::format("item {} stands twice", twice->id), "add the two up into one");
  return entries;
}

}  // namespace

UtilityFile read_utility(const std::filesystem::path& path) {
  const std::string text = text::read_text(path);
  std::vector<std::vector<Entry>> rows;
  UtilityFile file;
  Line line{path, 0};
  split(text, '\n', [&](std::string_view one) {
    ++line.number;
    check_interrupt("the reading of the transactions");
    if (one.ends_with('\r')) one.remove_suffix(1);
    if (one.empty() || one.front() == '#' || one.front() == '%' || one.front() == '@') return;
    rows.push_back(read_line(line, one));
    for (const Entry& entry : rows.back()) file.ids.push_back(entry.id);
  });
  if (file.ids.empty())
    throw DataError(path.string() + ": no transactions", "write a line items:total:utilities for each");
  std::ranges::sort(file.ids);
  const auto repeated = std::ranges::unique(file.ids);
  file.ids.erase(repeated.begin(), repeated.end());
  HostCsr& csr = file.transactions.rows;
  csr.n_columns = static_cast<int64_t>(file.ids.size());
  for (const std::vector<Entry>& row : rows) {
    check_interrupt("the reading of the transactions");
    for (const Entry& entry : row) {
      csr.columns.push_back(static_cast<int32_t>(std::ranges::lower_bound(file.ids, entry.id) - file.ids.begin()));
      file.transactions.utilities.push_back(entry.worth);
    }
    csr.row_offsets.push_back(csr.nnz());
  }
  return file;
}

}  // namespace sheaf::problems
