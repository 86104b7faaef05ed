#include "host/data/prepared.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "engine/io/folder.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::data {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

StringTable table_of(const std::vector<std::string>& strings) {
  StringTable table;
  for (const auto& text : strings) table.push_back(text);
  return table;
}

Prepared sample() {
  Prepared p;
  p.name = "sample";
  p.currency = "EUR";
  p.n_users = 2;
  p.n_items = 3;
  p.n_baskets = 2;
  p.user = {0, 0, 1, 1};
  p.item = {0, 2, 1, 2};
  p.basket = {0, 0, 1, 1};
  p.timestamp = {-5, 10, 10, int64_t{1} << 40};
  p.quantity = {1, 2, 3, 0.5f};
  p.price = {1.5f, 2.5f, 3.5f, 4.5f};
  p.discount = {0, 0.25f, 0, 0};
  p.split = {kTrain, kTrain, kValidation, kTest};
  p.user_ids = table_of({"", "ann"});
  p.item_ids = table_of({"apple", "pear", "plum"});
  p.item_names = table_of({"Apple", "", "Pflaume \xc3\xa4"});
  p.category_names = table_of({"fruit"});
  p.item_category = {0, 0, 0};
  p.categorical = {{"colour", {1, 0, 1}, table_of({"green", "red"})}, {"empty", {0, 0, 0}, table_of({kNoValue})}};
  p.numeric_names = {"log_price", "weight"};
  p.item_numeric = {1, 2, 3, 4, 5, 6};
  p.numeric_mean = {0.5f, 1};
  p.numeric_deviation = {1, 2};
  p.vector_dim = 2;
  p.item_vectors = {1, 0, 0, 0, 0.6f, -0.8f};
  p.item_price = {1.5f, 3.5f, 3.5f};
  p.import_summary = {{"rows_read", 4}};
  return p;
}

void expect_equal(const Prepared& a, const Prepared& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.currency, b.currency);
  EXPECT_EQ(a.n_users, b.n_users);
  EXPECT_EQ(a.n_items, b.n_items);
  EXPECT_EQ(a.n_baskets, b.n_baskets);
  EXPECT_EQ(a.user, b.user);
  EXPECT_EQ(a.item, b.item);
  EXPECT_EQ(a.basket, b.basket);
  EXPECT_EQ(a.timestamp, b.timestamp);
  EXPECT_EQ(a.quantity, b.quantity);
  EXPECT_EQ(a.price, b.price);
  EXPECT_EQ(a.discount, b.discount);
  EXPECT_EQ(a.split, b.split);
  EXPECT_EQ(a.user_ids, b.user_ids);
  EXPECT_EQ(a.item_ids, b.item_ids);
  EXPECT_EQ(a.item_names, b.item_names);
  EXPECT_EQ(a.category_names, b.category_names);
  EXPECT_EQ(a.item_category, b.item_category);
  ASSERT_EQ(a.categorical.size(), b.categorical.size());
  for (size_t f = 0; f < a.categorical.size(); ++f) {
    EXPECT_EQ(a.categorical[f].name, b.categorical[f].name);
    EXPECT_EQ(a.categorical[f].codes, b.categorical[f].codes);
    EXPECT_EQ(a.categorical[f].values, b.categorical[f].values);
  }
  EXPECT_EQ(a.numeric_names, b.numeric_names);
  EXPECT_EQ(a.item_numeric, b.item_numeric);
  EXPECT_EQ(a.numeric_mean, b.numeric_mean);
  EXPECT_EQ(a.numeric_deviation, b.numeric_deviation);
  EXPECT_EQ(a.vector_dim, b.vector_dim);
  EXPECT_EQ(a.item_vectors, b.item_vectors);
  EXPECT_EQ(a.item_price, b.item_price);
  EXPECT_EQ(a.import_summary, b.import_summary);
}

TEST(Prepared, GivesBackWhatWasSaved) {
  const TempFolder folder;
  save_prepared(sample(), folder.path() / "p");
  expect_equal(load_prepared(folder.path() / "p"), sample());
  save_prepared(sample(), folder.path() / "q");
  EXPECT_EQ(test::read_tree(folder.path() / "p"), test::read_tree(folder.path() / "q"));
}

TEST(Prepared, FindsIdsAndNamesTheNearest) {
  const Prepared prepared = sample();
  EXPECT_EQ(prepared.find_user("ann"), 1);
  EXPECT_EQ(prepared.find_user(""), 0);
  EXPECT_EQ(prepared.find_item("plum"), 2);
  try {
    (void)prepared.find_item("aple");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(), "no item 'aple' in sample (3 are known)");
    EXPECT_EQ(error.hint(), "did you mean 'apple'?");
  }
  EXPECT_THROW((void)prepared.find_user("zoe"), DataError);
}

TEST(Prepared, DoesNotReplaceAnotherKind) {
  const TempFolder folder;
  {
    io::FolderWriter writer(folder.path() / "model", "model");
    writer.commit(nlohmann::json::object());
  }
  EXPECT_THROW(save_prepared(sample(), folder.path() / "model"), UsageError);
  EXPECT_THROW((void)load_prepared(folder.path() / "model"), DataError);
  EXPECT_EQ(io::read_folder(folder.path() / "model", "model")["kind"], "model");
}

TEST(Prepared, PartsThatDoNotFitAreRefused) {
  struct Case {
    const char* expected;
    std::function<void(Prepared&)> spoil;
  };
  const Case cases[] = {
      {"user holds 2 at 3, expected 0 to 1", [](Prepared& p) { p.user[3] = 2; }},
      {"item holds -1 at 0", [](Prepared& p) { p.item[0] = -1; }},
      {"basket holds 9", [](Prepared& p) { p.basket[1] = 9; }},
      // Memory is taken for so many baskets.
      {"n_baskets is 2147483647, but the lines are of 2 baskets", [](Prepared& p) { p.n_baskets = 2147483647; }},
      {"n_baskets is 3, but", [](Prepared& p) { p.n_baskets = 3; }},
      {"user_ids has 2 entries, expected 2147483647", [](Prepared& p) { p.n_users = 2147483647; }},
      {"n_users is 4294967296, expected a whole number", [](Prepared& p) { p.n_users = int64_t{1} << 32; }},
      {"item has 3 entries, expected 4", [](Prepared& p) { p.item.pop_back(); }},
      {"timestamps are not in order", [](Prepared& p) { p.timestamp[0] = 99; }},
      {"split holds unknown parts", [](Prepared& p) { p.split[0] = 3; }},
      {"item_ids has 3 entries, expected 4",
       [](Prepared& p) {
         p.n_items = 4;
         p.item_category.push_back(0);
         p.categorical.clear();
         p.item_numeric.resize(8);
         p.item_vectors.resize(8);
         p.item_price.push_back(1);
       }},
      {"user_ids is not in order at 1",
       [](Prepared& p) {
         p.user_ids = table_of({"b", "a"});
       }},
      {"offsets of item_names are wrong", [](Prepared& p) { p.item_names.offsets[1] = 1000; }},
      {"colour holds 7", [](Prepared& p) { p.categorical[0].codes[0] = 7; }},
      {"item_category holds 1", [](Prepared& p) { p.item_category[2] = 1; }},
      {"item_price has 2 entries, expected 3", [](Prepared& p) { p.item_price.pop_back(); }},
      {"item_vectors has 6 entries, expected 9", [](Prepared& p) { p.vector_dim = 3; }},
  };
  const TempFolder folder;
  for (const auto& bad : cases) {
    Prepared prepared = sample();
    bad.spoil(prepared);
    save_prepared(prepared, folder.path() / "p");
    try {
      (void)load_prepared(folder.path() / "p");
      ADD_FAILURE() << bad.expected;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(bad.expected), std::string::npos) << error.what();
    }
  }
}

TEST(Prepared, DamageOfTheManifestIsFound) {
  const TempFolder folder;
  save_prepared(sample(), folder.path() / "p");
  const fs::path file = folder.path() / "p" / "manifest.json";
  const std::string whole = test::read_bytes(file);
  const auto message = [&](const std::string& text) {
    test::write_bytes(file, text);
    try {
      (void)load_prepared(folder.path() / "p");
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  std::string other = whole;
  EXPECT_NE(message(other.replace(other.find("EUR"), 3, "USD")).find("manifest.json was changed"), std::string::npos);
  const auto resealed = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json manifest = nlohmann::json::parse(whole);
    manifest[key] = value;
    return message(io::sealed_text(manifest));
  };
  EXPECT_NE(resealed("n_users", 2.5).find("n_users is 2.5, expected a whole number"), std::string::npos);
  EXPECT_NE(resealed("n_interactions", 4.5).find("n_interactions is 4.5"), std::string::npos);
  EXPECT_NE(resealed("n_items", "3").find("n_items is \"3\""), std::string::npos);
  EXPECT_NE(resealed("files", nlohmann::json::object()).find("does not list prepared.safetensors"), std::string::npos);
  EXPECT_EQ(message(whole), "no error");
}

TEST(Prepared, DamageIsFound) {
  const TempFolder folder;
  save_prepared(sample(), folder.path() / "p");
  const fs::path tensors = folder.path() / "p" / "prepared.safetensors";
  std::string bytes = test::read_bytes(tensors);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  test::write_bytes(tensors, bytes);
  EXPECT_THROW((void)load_prepared(folder.path() / "p"), DataError);
  EXPECT_THROW((void)load_prepared(folder.path() / "missing"), DataError);
}

TEST(StringTable, FindsInOrder) {
  const StringTable table = table_of({"", "a", "ab", "b"});
  for (int64_t i = 0; i < table.size(); ++i) EXPECT_EQ(table.find_sorted(table[i]), i);
  EXPECT_EQ(table.find_sorted("aa"), -1);
  EXPECT_EQ(table.find_sorted("c"), -1);
  EXPECT_EQ(StringTable().find_sorted("x"), -1);
}

}  // namespace
}  // namespace sheaf::data
