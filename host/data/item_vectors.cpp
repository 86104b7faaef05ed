#include "host/data/item_vectors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/shown.hpp"
#include "host/data/vector_file.hpp"
#include "host/text/read_text.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::data {
namespace {

/// The lines of a text; empty ones at the end are none.
std::vector<std::string_view> lines_of_text(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

/// To unit length; a vector of zeros stays.
void normalise_vector(float* vector, int64_t dim) {
  double square = 0.0;
  for (int64_t c = 0; c < dim; ++c) square += static_cast<double>(vector[c]) * static_cast<double>(vector[c]);
  if (square == 0.0) return;
  for (int64_t c = 0; c < dim; ++c) {
    vector[c] = static_cast<float>(static_cast<double>(vector[c]) / std::sqrt(square));
  }
}

}  // namespace

void fill_item_vectors(const ItemTable* table, const ImportConfig& config, const std::filesystem::path& folder,
                       Prepared& prepared, ImportReport& report) {
  if (config.vectors.file.empty()) return;
  const std::filesystem::path path = folder / config.vectors.file;
  const std::filesystem::path list = folder / (config.vectors.ids.empty() ? config.items.file : config.vectors.ids);
  const VectorFile file = read_vectors(path, config.vectors.tensor);
  const std::string text = config.vectors.ids.empty() ? std::string() : text::read_text(list);
  const std::vector<std::string_view> ids = config.vectors.ids.empty() ? table->keys() : lines_of_text(text);
  if (std::ssize(ids) != file.rows) {
    throw DataError(
        fmt::format("{}: {} vectors, but {} has {} ids", path.string(), file.rows, list.string(), ids.size()),
        "every vector needs its id, in the same order");
  }
  prepared.vector_dim = file.dim;
  prepared.item_vectors.assign(static_cast<size_t>(prepared.n_items * file.dim), 0.0f);
  std::vector<int64_t> row_of(static_cast<size_t>(prepared.n_items), -1);
  ImportReport::Vectors& counts = report.vectors.emplace(ImportReport::Vectors{.dim = file.dim});
  for (size_t row = 0; row < ids.size(); ++row) {
    check_interrupt();
    const int64_t item = prepared.item_ids.find_sorted(ids[row]);
    if (item < 0) {
      ++counts.unknown;
      continue;
    }
    int64_t& taken = row_of[static_cast<size_t>(item)];
    if (taken >= 0) {
      throw DataError(fmt::format("{}: '{}' is there twice, in lines {} and {}", list.string(), text::shown(ids[row]),
                                  taken + 1, row + 1),
                      "every item has one vector");
    }
    taken = static_cast<int64_t>(row);
    float* const to = prepared.item_vectors.data() + item * file.dim;
    std::copy_n(file.values.data() + taken * file.dim, file.dim, to);
    if (config.vectors.normalise) normalise_vector(to, file.dim);
    ++counts.items;
  }
  counts.missing = prepared.n_items - counts.items;
  if (counts.items > 0) return;
  throw DataError(fmt::format("{}: none of the {} ids is an item of the data, such as '{}'; the first is '{}'",
                              list.string(), ids.size(), text::shown(prepared.item_ids[0]), text::shown(ids[0])),
                  "give the ids of columns.item");
}

}  // namespace sheaf::data
