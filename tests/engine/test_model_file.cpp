#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "engine/io/safetensors.hpp"
#include "engine/models/model_file.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/temp_folder.hpp"
#include "tests/engine/engine_data.hpp"

namespace sheaf::io {
namespace {

namespace fs = std::filesystem;

class ModelIoTest : public test::OpTest {
 protected:
  /// 3 users, 4 items of one field with 2 values, 5 dimensions, every parameter random.
  PreferenceState make_state(PreferenceKind kind) {
    Catalog catalog = test::plain_catalog(4);
    catalog.fields = {{"colour", 2, {0, 1, 1, 0}}};
    History history;
    history.offsets = {0, 2, 2, 5};
    history.items = {3, 1, 0, 2, 2};
    PreferenceModel model(context(), kind, 3, 5, catalog, true, 1,
                          {.layers = 2, .heads = 1, .max_length = 4, .feed_forward = 6, .user_rows = 3}, history);
    uint32_t seed = 10;
    for (Parameter* p : model.parameters()) p->value.assign(test::random_floats(p->value.size(), seed++));
    model.set_calibration({1.0 / 3, 0.7, -1e-7});
    return model.state();
  }
  /// Writes a model whose state was spoilt, and reads it as the program would.
  void read_spoilt(const std::function<void(PreferenceState&)>& spoil) {
    PreferenceState state = make_state(PreferenceKind::factorization);
    spoil(state);
    fs::remove_all(folder_);
    save_model(state, {}, folder_);
    PreferenceModel(context(), load_model(folder_).state);
  }

  const test::TempFolder temp_;
  const fs::path folder_ = temp_.path() / "model";
};

TEST_P(ModelIoTest, GivesBackTheSameModel) {
  for (const PreferenceKind kind :
       {PreferenceKind::factorization, PreferenceKind::additive, PreferenceKind::transformer}) {
    const PreferenceState saved = make_state(kind);
    const nlohmann::json notes{{"seed", 7}, {"loss", {0.5, 0.25}}};
    save_model(saved, notes, folder_);
    const LoadedModel loaded = load_model(folder_);
    EXPECT_EQ(loaded.notes, notes);
    EXPECT_EQ(loaded.state.kind, kind);
    EXPECT_EQ(loaded.state.n_users, 3);
    EXPECT_EQ(loaded.state.n_items, 4);
    EXPECT_EQ(loaded.state.dim, 5);
    EXPECT_EQ(loaded.state.item_bags.row_offsets, saved.item_bags.row_offsets);
    EXPECT_EQ(loaded.state.item_bags.columns, saved.item_bags.columns);
    EXPECT_EQ(loaded.state.item_bags.n_columns, 6);
    EXPECT_EQ(loaded.state.calibration.slope, saved.calibration.slope);
    EXPECT_EQ(loaded.state.calibration.bias_slope, saved.calibration.bias_slope);
    EXPECT_EQ(loaded.state.calibration.offset, saved.calibration.offset);
    const PreferenceState again = PreferenceModel(context(), loaded.state).state();
    EXPECT_EQ(again.history.offsets, saved.history.offsets);
    EXPECT_EQ(again.history.items, saved.history.items);
    EXPECT_EQ(again.transformer.feed_forward,
              kind == PreferenceKind::transformer ? 6 : TransformerShape{}.feed_forward);
    ASSERT_EQ(again.tables.size(), saved.tables.size());
    for (size_t t = 0; t < saved.tables.size(); ++t) {
      EXPECT_EQ(again.tables[t].name, saved.tables[t].name);
      EXPECT_EQ(again.tables[t].rows, saved.tables[t].rows);
      EXPECT_TRUE(test::same_bits(again.tables[t].values, saved.tables[t].values)) << saved.tables[t].name;
    }
  }
}

TEST_P(ModelIoTest, SameModelGivesTheSameBytes) {
  const PreferenceState state = make_state(PreferenceKind::additive);
  save_model(state, {}, temp_.path() / "a");
  save_model(state, {}, temp_.path() / "b");
  EXPECT_EQ(test::read_tree(temp_.path() / "a"), test::read_tree(temp_.path() / "b"));
}

TEST_P(ModelIoTest, EveryChangedByteOfTheTensorsIsFound) {
  save_model(make_state(PreferenceKind::factorization), {}, folder_);
  const fs::path file = folder_ / "model.safetensors";
  const std::string bytes = test::read_bytes(file);
  for (size_t at = 0; at < bytes.size(); at += 7) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    test::write_bytes(file, changed);
    EXPECT_THROW(load_model(folder_), DataError) << "byte " << at;
  }
  test::write_bytes(file, bytes.substr(0, bytes.size() - 1));
  EXPECT_THROW(load_model(folder_), DataError);
  fs::remove(file);
  EXPECT_THROW(load_model(folder_), DataError);
}

TEST_P(ModelIoTest, ADamagedManifestIsFound) {
  save_model(make_state(PreferenceKind::factorization), {{"seed", 7}}, folder_);
  const fs::path file = folder_ / "manifest.json";
  const std::string text = test::read_bytes(file);
  const auto good = nlohmann::json::parse(text);
  const auto expect_found = [&](const nlohmann::json& manifest, const std::string& what) {
    test::write_bytes(file, manifest.dump());
    EXPECT_THROW(load_model(folder_), DataError) << what;
  };
  for (const char* key :
       {"preference", "n_users", "n_items", "dim", "item_rows", "calibration", "notes", "kind", "version", "files"}) {
    nlohmann::json manifest = good;
    manifest.erase(key);
    expect_found(manifest, std::string("no ") + key);
    if (key == std::string("notes")) continue;  // may be anything
    for (const nlohmann::json& other : {nlohmann::json("x"), nlohmann::json(-1), nlohmann::json(0),
                                        nlohmann::json(5000000), nlohmann::json(nullptr), nlohmann::json::array()}) {
      manifest = good;
      manifest[key] = other;
      expect_found(manifest, std::string(key) + " is " + other.dump());
    }
  }
  for (const char* key : {"slope", "bias_slope", "offset"}) {
    nlohmann::json manifest = good;
    manifest["calibration"][key] = nullptr;  // as JSON writes what is no number
    expect_found(manifest, std::string(key) + " is null");
  }
  nlohmann::json additive = good;
  additive["preference"] = "additive";
  expect_found(additive, "another kind of model");
  nlohmann::json other_file = good;
  other_file["files"].erase("model.safetensors");
  expect_found(other_file, "no tensors listed");
  test::write_bytes(file, text);
  EXPECT_NO_THROW(load_model(folder_));
}

TEST_P(ModelIoTest, ADamagedTransformerIsFound) {
  const auto found = [&](auto&& spoil) {
    PreferenceState state = make_state(PreferenceKind::transformer);
    spoil(state);
    fs::remove_all(folder_);
    save_model(state, {}, folder_);
    EXPECT_THROW(load_model(folder_), DataError);
  };
  found([](PreferenceState& s) { s.history.items[2] = 4; });
  found([](PreferenceState& s) { s.history.items[2] = -1; });
  found([](PreferenceState& s) { s.history.items.pop_back(); });
  found([](PreferenceState& s) { s.history.offsets.pop_back(); });
  found([](PreferenceState& s) { std::swap(s.history.offsets[1], s.history.offsets[3]); });
  found([](PreferenceState& s) { s.transformer.max_length = 5; });
  found([](PreferenceState& s) { s.transformer.layers = 3; });
  found([](PreferenceState& s) { s.transformer.layers = int64_t{1} << 60; });
  found([](PreferenceState& s) { s.transformer.heads = 2; });
  found([](PreferenceState& s) { s.transformer.feed_forward = 7; });
  for (const PreferenceKind kind : {PreferenceKind::factorization, PreferenceKind::additive}) {
    found([&](PreferenceState& s) { s.kind = kind; });
  }
  save_model(make_state(PreferenceKind::transformer), {}, folder_);
  const fs::path file = folder_ / "manifest.json";
  nlohmann::json manifest = nlohmann::json::parse(test::read_bytes(file));
  manifest.erase("transformer");
  test::write_bytes(file, manifest.dump());
  EXPECT_THROW(load_model(folder_), DataError);
}

TEST_P(ModelIoTest, TablesThatDoNotFitAreFound) {
  EXPECT_NO_THROW(read_spoilt([](PreferenceState&) {}));
  const size_t n_tables = make_state(PreferenceKind::factorization).tables.size();
  for (size_t t = 0; t < n_tables; ++t) {
    EXPECT_THROW(read_spoilt([&](PreferenceState& state) {
                   state.tables.erase(state.tables.begin() + static_cast<std::ptrdiff_t>(t));
                 }),
                 DataError);
    EXPECT_THROW(read_spoilt([&](PreferenceState& state) {
                   auto& table = state.tables[t];
                   table.rows += 1;
                   table.values.resize(static_cast<size_t>(table.rows * table.cols));
                 }),
                 DataError);
    EXPECT_THROW(read_spoilt([&](PreferenceState& state) {  // as many values in another shape
                   auto& table = state.tables[t];
                   table.cols *= table.rows;
                   table.rows = 1;
                   if (table.cols == 1) table.name = "other";
                 }),
                 DataError);
  }
}

TEST_P(ModelIoTest, ItemBagsThatDoNotFitAreFound) {
  const std::vector<std::function<void(HostCsr&)>> damages{
      [](HostCsr& bags) { bags.columns[3] = 6; },
      [](HostCsr& bags) { bags.columns[0] = -1; },
      [](HostCsr& bags) { bags.row_offsets[0] = 1; },
      [](HostCsr& bags) { bags.row_offsets.back() += 1; },
      [](HostCsr& bags) { bags.row_offsets[2] = 1; },
      [](HostCsr& bags) { bags.row_offsets[2] = 100; },
      [](HostCsr& bags) { bags.row_offsets.clear(); },
      [](HostCsr& bags) {
        bags.row_offsets = {0};
        bags.columns.clear();
      },
      [](HostCsr& bags) { bags.row_offsets.insert(bags.row_offsets.begin(), 0); },
      [](HostCsr& bags) { bags.n_columns = 7; },
      [](HostCsr& bags) { bags.n_columns = 5; },
  };
  for (size_t d = 0; d < damages.size(); ++d) {
    EXPECT_THROW(read_spoilt([&](PreferenceState& state) { damages[d](state.item_bags); }), DataError) << d;
  }
}

TEST_P(ModelIoTest, AnotherKindOfFolderIsNoModel) {
  FolderWriter writer(folder_);
  test::write_bytes(writer.path() / "model.safetensors", "");
  writer.commit("prepared", {});
  EXPECT_THROW(load_model(folder_), DataError);
  EXPECT_THROW(load_model(temp_.path() / "nowhere"), DataError);
}

SHEAF_ON_EVERY_BACKEND(ModelIoTest);

}  // namespace
}  // namespace sheaf::io
