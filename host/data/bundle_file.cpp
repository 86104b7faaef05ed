#include "host/data/bundle_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>

#include "engine/data/shown.hpp"
#include "host/text/csv.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::data {
namespace {

constexpr const char* kForm = "the header is bundle,item, and each line names a bundle and one of its items by its id";

struct BundleLine {
  std::string_view bundle, item, user;
  int64_t number;  // of the file
};

/// The file's lines, fields trimmed and none of them empty.
class BundleLines {
 public:
  BundleLines(const std::filesystem::path& path, const Context& context) : file_(path) {
    has_user_ = file_.has_column("user");
    std::vector<int64_t> positions{column("bundle"), column("item")};
    if (has_user_) positions.push_back(file_.column("user"));
    columns_ = file_.parse(positions, context);
    if (file_.n_rows() == 0) throw DataError(path.string() + ": no bundle below the header", kForm);
  }
  bool has_user() const { return has_user_; }
  int64_t size() const { return file_.n_rows(); }
  BundleLine operator[](int64_t row) const {
    const auto at = static_cast<size_t>(row);
    if (columns_.n_fields[at] != std::ssize(file_.header())) {
      throw DataError(file_.width_message(row, columns_.n_fields[at]), kForm);
    }
    BundleLine line{text::trim(columns_.values[0][at]), text::trim(columns_.values[1][at]), {}, file_.line(row)};
    if (has_user_) line.user = text::trim(columns_.values[2][at]);
    if (line.bundle.empty()) fail(line.number, "no bundle", kForm);
    if (line.item.empty()) fail(line.number, "no item", kForm);
    return line;
  }
  [[noreturn]] void fail(int64_t number, const std::string& what, const std::string& mend) const {
    throw DataError(fmt::format("{} line {}: {}", file_.path().string(), number, what), mend);
  }

 private:
  /// CsvFile's message says what is there; this one says the form too.
  int64_t column(const char* name) const {
    try {
      return file_.column(name);
    } catch (const DataError& error) {
      throw DataError(error.what(), fmt::format("{}; {}", error.hint(), kForm));
    }
  }

  text::CsvFile file_;
  text::CsvColumns columns_;
  bool has_user_ = false;
};

/// The bundles as the file first names them.
class Grouped {
 public:
  size_t place(std::string_view bundle, int64_t line) {
    const auto [found, is_new] = places_.try_emplace(std::string(bundle), given.names.size());
    if (is_new) {
      given.names.emplace_back(bundle);
      given.items.emplace_back();
      first_line.push_back(line);
    }
    return found->second;
  }
  GivenBundles take() {
    for (auto& items : given.items) {
      std::ranges::sort(items);
      items.erase(std::ranges::unique(items).begin(), items.end());
    }
    return std::move(given);
  }

  GivenBundles given;
  std::vector<int64_t> first_line;

 private:
  std::unordered_map<std::string, size_t> places_;
};

}  // namespace

HostCsr GivenBundles::matrix(int64_t n_catalog, size_t min_size) const {
  HostCsr csr;
  csr.n_columns = n_catalog;
  for (const auto& bundle : items) {
    if (bundle.size() < min_size) continue;
    csr.columns.insert(csr.columns.end(), bundle.begin(), bundle.end());
    csr.row_offsets.push_back(csr.nnz());
  }
  return csr;
}

GivenBundles read_given_bundles(const std::filesystem::path& path, const Prepared& prepared, const Context& context) {
  const BundleLines lines(path, context);
  Grouped grouped;
  std::vector<std::set<std::string_view>> named;
  std::set<std::string_view> all, unknown;
  for (int64_t row = 0; row < lines.size(); ++row) {
    const BundleLine line = lines[row];
    const size_t at = grouped.place(line.bundle, line.number);
    named.resize(grouped.given.names.size());
    named[at].insert(line.item);
    all.insert(line.item);
    const int64_t item = prepared.item_ids.find_sorted(line.item);
    if (item >= 0) {
      grouped.given.items[at].push_back(static_cast<int32_t>(item));
    } else if (unknown.insert(line.item).second && unknown.size() == 1) {
      grouped.given.first_unknown =
          fmt::format("'{}' ({} line {})", text::shown(line.item), path.string(), line.number);
    }
  }
  for (size_t at = 0; at < named.size(); ++at) {
    if (named[at].size() >= 2) continue;
    lines.fail(grouped.first_line[at], fmt::format("bundle '{}' has one item", text::shown(grouped.given.names[at])),
               "a bundle has at least two; take it out of the file");
  }
  grouped.given.n_items = std::ssize(all);
  grouped.given.n_unknown = std::ssize(unknown);
  GivenBundles given = grouped.take();
  if (std::ranges::none_of(given.items, [](const auto& items) { return items.size() >= 2; })) {
    throw DataError(fmt::format("{}: no bundle has two items that are known in {}; unknown is for example {}",
                                path.string(), prepared.name, given.first_unknown),
                    "name items by their ids in the data set");
  }
  return given;
}

GivenBundles read_partial_bundles(const std::filesystem::path& path, const Context& context, IdLookup& ids) {
  const BundleLines lines(path, context);
  Grouped grouped;
  for (int64_t row = 0; row < lines.size(); ++row) {
    const BundleLine line = lines[row];
    const int32_t item = ids.item(line.item, line.number);
    const int32_t user = lines.has_user() ? ids.user(line.user, line.number) : 0;
    if (item < 0 || user < 0) continue;
    const size_t at = grouped.place(line.bundle, line.number);
    grouped.given.items[at].push_back(item);
    if (!lines.has_user()) continue;
    if (at == grouped.given.users.size()) grouped.given.users.push_back(user);
    if (grouped.given.users[at] != user) {
      lines.fail(line.number, fmt::format("bundle '{}' is of two users", text::shown(line.bundle)),
                 "give each a bundle of its own");
    }
  }
  ids.require_any();
  return grouped.take();
}

}  // namespace sheaf::data
