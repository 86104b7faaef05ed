#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "engine/models/model_file.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/temp_folder.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf::io {
namespace {

namespace fs = std::filesystem;

class ModelFileTest : public test::OpTest {
 protected:
  std::unique_ptr<Recommender> fitted(std::string_view name) {
    std::unique_ptr<Recommender> model = test::quick_model(name);
    model->fit(context(), data_.view(), {});
    model->calibration = {1.0 / 3, -1e-7};
    return model;
  }
  LoadedModel load() { return load_model(context(), folder_); }
  int64_t model_size(const char* key) const {
    return nlohmann::json::parse(test::read_bytes(folder_ / "manifest.json"))[key].get<int64_t>();
  }
  /// Changes the manifest of the saved model, which then must not load.
  void expect_found(const std::function<void(nlohmann::json&)>& change, const std::string& what) {
    const fs::path file = folder_ / "manifest.json";
    const std::string text = test::read_bytes(file);
    nlohmann::json manifest = nlohmann::json::parse(text);
    change(manifest);
    test::write_bytes(file, sealed_text(manifest));  // what a checksum does not find
    EXPECT_THROW(load(), DataError) << what;
    test::write_bytes(file, text);
  }

  test::ModelData data_;
  const test::TempFolder temp_;
  const fs::path folder_ = temp_.path() / "model";
};

TEST_P(ModelFileTest, GivesBackTheSameModel) {
  for (const std::string& name : model_names()) {
    const auto saved = fitted(name);
    const nlohmann::json notes{{"seed", 7}, {"loss", {0.5, 0.25}}};
    save_model(*saved, notes, folder_);
    const LoadedModel loaded = load();
    EXPECT_EQ(loaded.notes, notes);
    EXPECT_EQ(loaded.model->name(), name);
    EXPECT_EQ(loaded.model->n_users(), test::Planted::n_users);
    EXPECT_EQ(loaded.model->n_items(), test::Planted::n_items);
    EXPECT_EQ(loaded.model->calibration.slope, saved->calibration.slope);
    EXPECT_EQ(loaded.model->calibration.offset, saved->calibration.offset);
    EXPECT_EQ(values_of(loaded.model->settings()), values_of(saved->settings())) << name;
    const std::vector<NamedTensor> before = saved->tensors(), after = loaded.model->tensors();
    ASSERT_EQ(after.size(), before.size()) << name;
    for (size_t t = 0; t < before.size(); ++t) {
      EXPECT_EQ(after[t].name, before[t].name);
      EXPECT_EQ(after[t].shape, before[t].shape) << before[t].name;
      EXPECT_EQ(after[t].values, before[t].values) << before[t].name;
    }
  }
}

TEST_P(ModelFileTest, SameModelGivesTheSameBytes) {
  for (const std::string& name : model_names()) {
    save_model(*fitted(name), {}, temp_.path() / (name + "-a"));
    save_model(*fitted(name), {}, temp_.path() / (name + "-b"));
    EXPECT_EQ(test::read_tree(temp_.path() / (name + "-a")), test::read_tree(temp_.path() / (name + "-b"))) << name;
  }
}

TEST_P(ModelFileTest, EveryChangedByteOfTheTensorsIsFound) {
  save_model(*fitted("factorization"), {}, folder_);
  const fs::path file = folder_ / "model.safetensors";
  const std::string bytes = test::read_bytes(file);
  for (size_t at = 0; at < bytes.size(); at += bytes.size() / 50) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    test::write_bytes(file, changed);
    EXPECT_THROW(load(), DataError) << "byte " << at;
  }
  test::write_bytes(file, bytes.substr(0, bytes.size() - 1));
  EXPECT_THROW(load(), DataError);
  fs::remove(file);
  EXPECT_THROW(load(), DataError);
}

TEST_P(ModelFileTest, AChangedDigitOfTheCalibrationIsFound) {
  save_model(*fitted("factorization"), {}, folder_);
  std::string text = test::read_bytes(folder_ / "manifest.json");
  const size_t at = text.find("\"slope\": 0.3");
  ASSERT_NE(at, std::string::npos);
  text[at + 11] = '4';
  test::write_bytes(folder_ / "manifest.json", text);
  EXPECT_THROW(load(), DataError);
}

TEST_P(ModelFileTest, ADamagedManifestIsFound) {
  for (const std::string& name : model_names()) {
    save_model(*fitted(name), {{"seed", 7}}, folder_);
    for (const char* key :
         {"model", "settings", "n_users", "n_items", "calibration", "notes", "kind", "version", "files"}) {
      const std::string what = name + ", " + key;
      expect_found([&](nlohmann::json& m) { m.erase(key); }, "no " + what);
      if (key == std::string("notes")) continue;  // may be anything
      for (const nlohmann::json& other : {nlohmann::json("x"), nlohmann::json(-1), nlohmann::json(0),
                                          nlohmann::json(5000000), nlohmann::json(nullptr)}) {
        expect_found([&](nlohmann::json& m) { m[key] = other; }, what + " is " + other.dump());
      }
    }
    for (const char* key : {"slope", "offset"}) {
      expect_found([&](nlohmann::json& m) { m["calibration"][key] = nullptr; }, std::string(key) + " is null");
    }
    for (const char* key : {"n_users", "n_items"}) {
      const int64_t n = model_size(key);
      for (const nlohmann::json& other : {nlohmann::json(static_cast<double>(n) + 0.5), nlohmann::json(n + 1),
                                          nlohmann::json(2147483647), nlohmann::json(int64_t{1} << 62)}) {
        expect_found([&](nlohmann::json& m) { m[key] = other; }, std::string(key) + " is " + other.dump());
      }
    }
    expect_found([](nlohmann::json& m) { m["files"].erase("model.safetensors"); }, "no tensors listed");
    expect_found([](nlohmann::json& m) { m["files"] = nlohmann::json::object(); }, "no files listed");
    for (const std::string& other : model_names()) {
      if (other == name) continue;
      expect_found([&](nlohmann::json& m) { m["model"] = other; }, name + " as " + other);
    }
    EXPECT_NO_THROW(load()) << name;
  }
}

TEST_P(ModelFileTest, SettingsThatDoNotFitTheTensorsAreFound) {
  save_model(*fitted("sasrec"), {}, folder_);
  const auto found = [&](const char* setting, const nlohmann::json& value) {
    expect_found([&](nlohmann::json& m) { m["settings"][setting] = value; }, setting);
  };
  found("sasrec.max_length", 5);
  found("sasrec.layers", 3);
  found("sasrec.layers", int64_t{1} << 60);
  found("sasrec.heads", 3);
  found("sasrec.feed_forward", 7);
  found("sasrec.user_vectors", "yes");
  EXPECT_NO_THROW(load());

  save_model(*fitted("gru"), {}, folder_);
  found("gru.layers", 2);
  found("gru.layers", int64_t{1} << 60);
  found("gru.user_vectors", "yes");
  EXPECT_NO_THROW(load());
}

TEST_P(ModelFileTest, AnotherKindOfFolderIsNoModel) {
  {
    FolderWriter writer(folder_, "prepared");
    test::write_bytes(writer.path() / "model.safetensors", "");
    writer.commit({});
  }
  EXPECT_THROW(load(), DataError);
  EXPECT_THROW(load_model(context(), temp_.path() / "nowhere"), DataError);
}

SHEAF_ON_EVERY_BACKEND(ModelFileTest);

}  // namespace
}  // namespace sheaf::io
