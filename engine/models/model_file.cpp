#include "engine/models/model_file.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "engine/io/safetensors.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::io {
namespace {

constexpr const char* kTensors = "model.safetensors";
constexpr const char* kTablePrefix = "table.";

template <class T>
std::vector<T> copy_of(std::span<const T> values) {
  return {values.begin(), values.end()};
}

void require(bool good, const std::filesystem::path& folder, const char* what) {
  if (!good) throw DataError(folder.string() + ": " + what, "train the model again");
}

void check_bags(const PreferenceState& state, const std::filesystem::path& folder) {
  const HostCsr& bags = state.item_bags;
  require(bags.n_rows() == state.n_items && bags.row_offsets.front() == 0 && bags.row_offsets.back() == bags.nnz(),
          folder, "the item bags do not fit the number of items");
  for (size_t r = 1; r < bags.row_offsets.size(); ++r)
    require(bags.row_offsets[r - 1] <= bags.row_offsets[r], folder, "the item bags are not in order");
  for (const int32_t row : bags.columns)
    require(row >= 0 && row < bags.n_columns, folder, "an item bag names a row that the table does not have");
}

// Before a model of that size is made: what the manifest says is not under its own checksum.
void check_tables(const PreferenceState& state, const std::filesystem::path& folder) {
  using Shape = std::tuple<std::string, int64_t, int64_t>;
  const int64_t item_rows = state.item_bags.n_columns;
  std::vector<Shape> expected{{"item_table", item_rows, state.dim}, {"bias", 1, 1}};
  if (state.kind != PreferenceKind::transformer) expected.push_back({"user_table", state.n_users, state.dim});
  if (state.kind == PreferenceKind::factorization) expected.push_back({"user_bias", state.n_users, 1});
  if (state.kind != PreferenceKind::additive) expected.push_back({"item_bias", item_rows, 1});
  if (state.kind == PreferenceKind::additive) {
    expected.insert(expected.end(), {{"w_user", 1, state.dim}, {"w_item", 1, state.dim}});
  }
  if (state.kind == PreferenceKind::transformer) {
    // As large as the manifest says; which tables a transformer has, it checks itself.
    const TransformerShape& t = state.transformer;
    require(t.layers > 0 && t.heads > 0 && t.max_length > 0 && t.feed_forward > 0 && state.dim % t.heads == 0, folder,
            "the transformer has no layers");
    expected.push_back({"positions", t.max_length, state.dim});
    require(t.user_rows == 0 || t.user_rows == state.n_users, folder, "the table of users does not fit the manifest");
    if (t.user_rows > 0) expected.push_back({"users", t.user_rows, state.dim});
    for (int64_t l = 0; l < t.layers; ++l) {
      expected.push_back({"layer." + std::to_string(l) + ".inner", t.feed_forward, state.dim});
      require(l < std::ssize(state.tables), folder, "a table is missing or does not fit the manifest");
    }
  }
  require(state.n_users > 0 && state.n_items > 0 && state.dim > 0, folder,
          "the model has no users, items or dimensions");
  for (const auto& [name, rows, cols] : expected) {
    const auto table = std::ranges::find(state.tables, name, &PreferenceState::Table::name);
    require(table != state.tables.end() && table->rows == rows && table->cols == cols, folder,
            "a table is missing or does not fit the manifest");
  }
}

void check_history(const PreferenceState& state, const std::filesystem::path& folder) {
  const History& history = state.history;
  require(history.n_users() == state.n_users && history.offsets.front() == 0 &&
              history.offsets.back() == std::ssize(history.items),
          folder, "the histories do not fit the number of users");
  require(std::ranges::is_sorted(history.offsets), folder, "the histories are not in order");
  require(std::ranges::all_of(history.items, [&](int32_t i) { return i >= 0 && i < state.n_items; }), folder,
          "a history names an item that the model does not have");
}

PreferenceKind kind_of(const nlohmann::json& manifest, const std::filesystem::path& folder) {
  try {
    return parse_preference(manifest.at("preference").get<std::string>());
  } catch (const UsageError& error) {
    throw DataError((folder / "manifest.json").string() + ": " + error.what(), "train the model again");
  }
}

}  // namespace

void save_model(const PreferenceState& state, const nlohmann::json& notes, const std::filesystem::path& folder) {
  FolderWriter writer(folder);
  SafetensorsWriter tensors;
  for (const auto& table : state.tables) tensors.add(kTablePrefix + table.name, {table.rows, table.cols}, table.values);
  tensors.add("item_bags.row_offsets", {static_cast<int64_t>(state.item_bags.row_offsets.size())},
              state.item_bags.row_offsets);
  tensors.add("item_bags.columns", {state.item_bags.nnz()}, state.item_bags.columns);
  nlohmann::json manifest{{"preference", to_string(state.kind)},
                          {"n_users", state.n_users},
                          {"n_items", state.n_items},
                          {"dim", state.dim},
                          {"item_rows", state.item_bags.n_columns},
                          {"calibration",
                           {{"slope", state.calibration.slope},
                            {"bias_slope", state.calibration.bias_slope},
                            {"offset", state.calibration.offset}}},
                          {"notes", notes}};
  if (state.kind == PreferenceKind::transformer) {
    const TransformerShape& t = state.transformer;
    manifest["transformer"] = {{"layers", t.layers},
                               {"heads", t.heads},
                               {"max_length", t.max_length},
                               {"feed_forward", t.feed_forward},
                               {"user_rows", t.user_rows}};
    tensors.add("history.offsets", {std::ssize(state.history.offsets)}, state.history.offsets);
    tensors.add("history.items", {std::ssize(state.history.items)}, state.history.items);
  }
  tensors.write(writer.path() / kTensors);
  writer.commit(kModelKind, manifest);
}

LoadedModel load_model(const std::filesystem::path& folder) {
  const nlohmann::json manifest = read_folder(folder, kModelKind);
  LoadedModel loaded;
  PreferenceState& state = loaded.state;
  try {
    require(manifest.at("files").contains(kTensors), folder, "model.safetensors is not listed");
    state.kind = kind_of(manifest, folder);
    state.n_users = manifest.at("n_users").get<int64_t>();
    state.n_items = manifest.at("n_items").get<int64_t>();
    state.dim = manifest.at("dim").get<int64_t>();
    state.item_bags.n_columns = manifest.at("item_rows").get<int64_t>();
    state.calibration.slope = manifest.at("calibration").at("slope").get<double>();
    state.calibration.bias_slope = manifest.at("calibration").at("bias_slope").get<double>();
    state.calibration.offset = manifest.at("calibration").at("offset").get<double>();
    if (state.kind == PreferenceKind::transformer) {
      const nlohmann::json& shape = manifest.at("transformer");
      state.transformer = {.layers = shape.at("layers").get<int64_t>(),
                           .heads = shape.at("heads").get<int64_t>(),
                           .max_length = shape.at("max_length").get<int64_t>(),
                           .feed_forward = shape.at("feed_forward").get<int64_t>(),
                           .user_rows = shape.at("user_rows").get<int64_t>()};
    }
    loaded.notes = manifest.at("notes");
  } catch (const nlohmann::json::exception& error) {
    throw DataError((folder / "manifest.json").string() + ": " + error.what(), "train the model again");
  }
  const SafetensorsFile tensors(folder / kTensors);
  state.item_bags.row_offsets = copy_of(tensors.tensor<int64_t>("item_bags.row_offsets"));
  state.item_bags.columns = copy_of(tensors.tensor<int32_t>("item_bags.columns"));
  require(!state.item_bags.row_offsets.empty(), folder, "the item bags are empty");
  check_bags(state, folder);
  if (state.kind == PreferenceKind::transformer) {
    state.history.offsets = copy_of(tensors.tensor<int64_t>("history.offsets"));
    state.history.items = copy_of(tensors.tensor<int32_t>("history.items"));
    require(!state.history.offsets.empty(), folder, "the histories are empty");
    check_history(state, folder);
  }
  for (const std::string& name : tensors.names()) {
    if (!name.starts_with(kTablePrefix)) continue;
    const auto& shape = tensors.shape(name);
    require(shape.size() == 2, folder, "a table is not a matrix");
    state.tables.push_back(
        {name.substr(std::string(kTablePrefix).size()), shape[0], shape[1], copy_of(tensors.tensor<float>(name))});
  }
  check_tables(state, folder);
  return loaded;
}

}  // namespace sheaf::io
