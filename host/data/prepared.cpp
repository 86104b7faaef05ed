#include "host/data/prepared.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "engine/data/nearest.hpp"
#include "engine/data/shown.hpp"
#include "engine/io/safetensors.hpp"
#include "host/data/prepared_file.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::data {
namespace {

constexpr const char* kTensors = "prepared.safetensors";

int32_t find_id(const StringTable& ids, std::string_view id, const char* what, const std::string& set) {
  const int64_t code = ids.find_sorted(id);
  if (code >= 0) return static_cast<int32_t>(code);
  int64_t best = std::numeric_limits<int64_t>::max();
  std::string_view nearest;
  for (int64_t i = 0; i < ids.size(); ++i) {
    const int64_t distance = text::edit_distance(id, ids[i]);
    if (distance < best) {
      best = distance;
      nearest = ids[i];
    }
  }
  throw DataError(fmt::format("no {} '{}' in {} ({} are known)", what, text::shown(id), set, ids.size()),
                  fmt::format("did you mean '{}'?", text::shown(nearest)));
}

std::string field_name(size_t field) { return fmt::format("categorical.{}", field); }

/// The tables of strings by the names of their tensors; one list for writing and reading.
template <class PreparedT, class Visit>
void visit_tables(PreparedT& prepared, Visit&& visit) {
  visit("user_ids", prepared.user_ids);
  visit("item_ids", prepared.item_ids);
  visit("item_names", prepared.item_names);
  visit("category_names", prepared.category_names);
  for (size_t f = 0; f < prepared.categorical.size(); ++f) {
    visit(field_name(f) + ".values", prepared.categorical[f].values);
  }
}

/// The plain vectors: name, vector, number of elements it must have.
template <class PreparedT, class Visit>
void visit_vectors(PreparedT& p, int64_t n_interactions, Visit&& visit) {
  const auto n_numeric = static_cast<int64_t>(p.numeric_names.size());
  visit("user", p.user, n_interactions);
  visit("item", p.item, n_interactions);
  visit("basket", p.basket, n_interactions);
  visit("timestamp", p.timestamp, n_interactions);
  visit("quantity", p.quantity, n_interactions);
  visit("price", p.price, n_interactions);
  visit("discount", p.discount, n_interactions);
  visit("split", p.split, n_interactions);
  visit("item_category", p.item_category, p.n_items);
  for (size_t f = 0; f < p.categorical.size(); ++f) visit(field_name(f) + ".codes", p.categorical[f].codes, p.n_items);
  visit("item_numeric", p.item_numeric, p.n_items * n_numeric);
  visit("numeric_mean", p.numeric_mean, n_numeric);
  visit("numeric_deviation", p.numeric_deviation, n_numeric);
  visit("item_price", p.item_price, p.n_items);
  if (p.vector_dim > 0) visit("item_vectors", p.item_vectors, p.n_items * p.vector_dim);
}

/// What no sha256 can promise: that the parts fit each other.
class Checker {
 public:
  explicit Checker(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void require(bool good, const std::string& message) const {
    if (!good) throw DataError(fmt::format("{}: {}", folder_.string(), message), "import the data again");
  }
  void codes(const std::string& name, const std::vector<int32_t>& codes, int64_t n) const {
    const auto bad = std::ranges::find_if(codes, [n](int32_t code) { return code < 0 || code >= n; });
    if (bad != codes.end()) {
      require(false, fmt::format("{} holds {} at {}, expected 0 to {}", name, *bad, bad - codes.begin(), n - 1));
    }
  }
  void table(const std::string& name, const StringTable& table) const {
    require(!table.offsets.empty() && table.offsets.front() == 0 && std::ranges::is_sorted(table.offsets) &&
                table.offsets.back() == static_cast<int64_t>(table.bytes.size()),
            fmt::format("the offsets of {} are wrong", name));
  }
  void size(const std::string& name, int64_t found, int64_t expected) const {
    require(found == expected, fmt::format("{} has {} entries, expected {}", name, found, expected));
  }
  void ascending(const std::string& name, const StringTable& table) const {
    for (int64_t i = 1; i < table.size(); ++i) {
      require(table[i - 1] < table[i], fmt::format("{} is not in order at {}", name, i));
    }
  }

 private:
  std::filesystem::path folder_;
};

void check_prepared(const Prepared& p, const Checker& checker) {
  checker.size("user_ids", p.user_ids.size(), p.n_users);
  checker.size("item_ids", p.item_ids.size(), p.n_items);
  checker.size("item_names", p.item_names.size(), p.n_items);
  checker.ascending("user_ids", p.user_ids);
  checker.ascending("item_ids", p.item_ids);
  checker.codes("user", p.user, p.n_users);
  checker.codes("item", p.item, p.n_items);
  checker.codes("basket", p.basket, p.n_baskets);
  // Whoever counts baskets takes memory for so many.
  const int64_t n_baskets = p.basket.empty() ? 0 : int64_t{*std::ranges::max_element(p.basket)} + 1;
  checker.require(n_baskets == p.n_baskets,
                  fmt::format("n_baskets is {}, but the lines are of {} baskets", p.n_baskets, n_baskets));
  checker.codes("item_category", p.item_category, p.category_names.size());
  for (const auto& field : p.categorical) checker.codes(field.name, field.codes, field.values.size());
  checker.require(std::ranges::is_sorted(p.timestamp), "the timestamps are not in order");
  checker.require(std::ranges::all_of(p.split, [](uint8_t part) { return part <= kTest; }),
                  "split holds unknown parts");
}

void read_manifest(const nlohmann::json& manifest, Prepared& p) {
  p.name = manifest.at("name").get<std::string>();
  p.currency = manifest.at("currency").get<std::string>();
  p.n_users = io::count_at(manifest, "n_users", 0);
  p.n_items = io::count_at(manifest, "n_items", 0);
  p.n_baskets = io::count_at(manifest, "n_baskets", 0);
  for (const auto& name : manifest.at("categorical")) p.categorical.push_back({name.get<std::string>(), {}, {}});
  p.numeric_names = manifest.at("numeric").get<std::vector<std::string>>();
  if (manifest.contains("vector_dim")) p.vector_dim = io::count_at(manifest, "vector_dim", 1);
  p.import_summary = manifest.at("import");
}

}  // namespace

bool Prepared::has_prices() const {
  return std::ranges::any_of(item_price, [](float p) { return p > 0.0f; });
}
bool Prepared::has_times() const {
  return std::ranges::any_of(timestamp, [](int64_t time) { return time != 0; });
}
bool Prepared::has_categories() const {
  for (int64_t c = 0; c < category_names.size(); ++c) {
    if (category_names[c] != kNoValue) return true;
  }
  return false;
}
bool Prepared::has_pairs() const {
  std::vector<int32_t> first(static_cast<size_t>(n_baskets), -1);
  for (size_t i = 0; i < basket.size(); ++i) {
    int32_t& own = first[static_cast<size_t>(basket[i])];
    if (own >= 0 && own != item[i]) return true;
    own = item[i];
  }
  return false;
}

int32_t Prepared::find_user(std::string_view id) const { return find_id(user_ids, id, "user", name); }
int32_t Prepared::find_item(std::string_view id) const { return find_id(item_ids, id, "item", name); }
int32_t Prepared::find_category(std::string_view id) const { return find_id(category_names, id, "category", name); }

void save_prepared(const Prepared& prepared, const std::filesystem::path& folder) {
  io::FolderWriter writer(folder, kPreparedKind);
  save_prepared(prepared, writer);
}

void save_prepared(const Prepared& prepared, io::FolderWriter& writer) {
  io::SafetensorsWriter tensors;
  visit_vectors(prepared, prepared.n_interactions(), [&](const std::string& name, const auto& values, int64_t) {
    tensors.add(name, {static_cast<int64_t>(values.size())}, values);
  });
  visit_tables(prepared, [&](const std::string& name, const StringTable& table) {
    const std::span bytes(reinterpret_cast<const uint8_t*>(table.bytes.data()), table.bytes.size());
    tensors.add(name + ".bytes", {static_cast<int64_t>(bytes.size())}, bytes);
    tensors.add(name + ".offsets", {static_cast<int64_t>(table.offsets.size())}, table.offsets);
  });
  tensors.write(writer.path() / kTensors);

  nlohmann::json categorical = nlohmann::json::array();
  for (const auto& field : prepared.categorical) categorical.push_back(field.name);
  nlohmann::json manifest = {
      {"name", prepared.name},       {"currency", prepared.currency},     {"n_users", prepared.n_users},
      {"n_items", prepared.n_items}, {"n_baskets", prepared.n_baskets},   {"n_interactions", prepared.n_interactions()},
      {"categorical", categorical},  {"numeric", prepared.numeric_names}, {"import", prepared.import_summary}};
  if (prepared.vector_dim > 0) manifest["vector_dim"] = prepared.vector_dim;
  writer.commit(manifest);
}

Prepared load_prepared(const std::filesystem::path& folder) {
  check_interrupt("the reading of the data");
  const nlohmann::json manifest = io::read_folder(folder, kPreparedKind, {kTensors});
  const Checker checker(folder);
  Prepared prepared;
  int64_t n_interactions = 0;
  try {
    read_manifest(manifest, prepared);
    n_interactions = io::count_at(manifest, "n_interactions", 0);
  } catch (const nlohmann::json::exception& error) {
    checker.require(false, fmt::format("manifest.json: {}", error.what()));
  } catch (const DataError& error) {
    checker.require(false, error.what());
  }
  const io::SafetensorsFile tensors(folder / kTensors);
  visit_vectors(prepared, n_interactions, [&]<class T>(const std::string& name, std::vector<T>& values, int64_t n) {
    const auto found = tensors.tensor<T>(name);
    checker.size(name, static_cast<int64_t>(found.size()), n);
    values.assign(found.begin(), found.end());
  });
  visit_tables(prepared, [&](const std::string& name, StringTable& table) {
    const auto bytes = tensors.tensor<uint8_t>(name + ".bytes");
    const auto offsets = tensors.tensor<int64_t>(name + ".offsets");
    table.bytes.assign(bytes.begin(), bytes.end());
    table.offsets.assign(offsets.begin(), offsets.end());
    checker.table(name, table);
  });
  io::check_same(folder, manifest);
  check_prepared(prepared, checker);
  return prepared;
}

}  // namespace sheaf::data
