// The convolution over the items' attributes as a part of the factorization: its inputs, its settings, and its saved
// form. Its gradients are in test_layers.cpp, what it says of cold items in test_cold_items.cpp.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "engine/data/item_features.hpp"
#include "engine/models/attribute_settings.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

Catalog three_items(bool with_numbers) {
  Catalog catalog = test::plain_catalog(3);
  catalog.fields = {{"colour", 3, {0, 2, 1}}, {"size", 2, {1, 0, 1}}};
  if (with_numbers) catalog.numbers = {2, {0.5f, -1.0f, 0.0f, 2.0f, 1.5f, 0.0f}};
  catalog.vectors = {1, {1.0f, 1.0f, 1.0f}};
  return catalog;
}

TEST(AttributeSequences, AreTheFieldsThenTheNumbersOfEachItem) {
  const HostCsr plain = attribute_sequences(three_items(false));
  EXPECT_EQ(plain.n_columns, 5);
  EXPECT_EQ(plain.columns, (std::vector<int32_t>{0, 4, 2, 3, 1, 4}));
  EXPECT_EQ(plain.row_offsets, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(plain.values.empty());
  const HostCsr numbered = attribute_sequences(three_items(true));
  EXPECT_EQ(numbered.n_columns, 7);
  EXPECT_EQ(numbered.columns, (std::vector<int32_t>{0, 4, 5, 6, 2, 3, 6, 1, 4, 5}));
  EXPECT_EQ(numbered.values, (std::vector<float>{1, 1, 0.5f, -1, 1, 1, 2, 1, 1, 1.5f}));
  EXPECT_EQ(numbered.row_offsets, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 10}));
}

class AttributeConvolutionTest : public test::OpTest {
 protected:
  AttributeConvolutionTest() : catalog_(data_.catalog()) {
    ItemField other{"other", 3, {}};
    for (int32_t i = 0; i < test::Planted::n_items; ++i) other.codes.push_back(i / 3 % 3);
    catalog_.fields.push_back(other);
  }
  TrainData view() const { return {test::Planted::n_users, catalog_, data_.purchases}; }
  static std::unique_ptr<Recommender> with(const std::string& widths, SettingValues more = {}) {
    auto model = test::quick_model("factorization");
    more["attribute_convolution.widths"] = widths;
    more["attribute_convolution.filters"] = int64_t{3};
    more["attribute_convolution.channels"] = int64_t{2};
    apply_settings(model->settings(), more);
    return model;
  }
  std::unique_ptr<Recommender> fitted(Context& where, const std::string& widths, const std::string& pooling = "max") {
    auto model = with(widths, {{"attribute_convolution.pooling", pooling}});
    model->fit(where, view(), {});
    return model;
  }
  std::vector<float> vectors_of(const Recommender& model) { return model.item_vectors(*alone_).values.to_host(); }

  void SetUp() override {
    OpTest::SetUp();
    alone_ = make_context(1);  // threads would wait for each other longer than they compute
  }
  void TearDown() override {
    alone_.reset();
    OpTest::TearDown();
  }

  test::ModelData data_;
  Catalog catalog_;
  std::unique_ptr<Context> alone_;
};

TEST_P(AttributeConvolutionTest, IsSavedAndRestoredWithoutItsSettings) {
  for (const char* pooling : {"max", "mean"}) {
    const auto model = fitted(*alone_, "2+1", pooling);
    const auto restored = make_recommender("factorization");
    restored->set_size(model->n_users(), model->n_items());
    restored->restore(*alone_, Tensors(model->tensors()));
    EXPECT_TRUE(test::same_bits(vectors_of(*restored), vectors_of(*model))) << pooling;
    const std::vector<NamedTensor> before = model->tensors(), after = restored->tensors();
    ASSERT_EQ(after.size(), before.size());
    for (size_t t = 0; t < before.size(); ++t) {
      EXPECT_EQ(after[t].name, before[t].name);
      EXPECT_EQ(after[t].values, before[t].values) << before[t].name;
    }
  }
  for (const NamedTensor& tensor : fitted(*alone_, "none")->tensors()) {
    EXPECT_EQ(tensor.name.find("attribute"), std::string::npos) << "a model without it is saved as before";
  }
}

TEST_P(AttributeConvolutionTest, IsPartOfTheVectorsFromItsFirstEpochOn) {
  const auto none = fitted(*alone_, "none"), some = fitted(*alone_, "1"), more = fitted(*alone_, "1", "mean");
  EXPECT_FALSE(test::same_bits(vectors_of(*none), vectors_of(*some)));
  EXPECT_FALSE(test::same_bits(vectors_of(*more), vectors_of(*some)));
}

TEST_P(AttributeConvolutionTest, TheSameBitsOnAnyNumberOfThreads) {
  const auto one = make_context(1), three = make_context(3);
  EXPECT_EQ(test::float_values(*fitted(*one, "1+2")), test::float_values(*fitted(*three, "1+2")));
}

TEST_P(AttributeConvolutionTest, RefusesSettingsThatDoNotFit) {
  const auto expect_refused = [&](const Recommender& model, const TrainData& data, const std::string& part) {
    try {
      const_cast<Recommender&>(model).fit(*alone_, data, {});
      ADD_FAILURE() << "no error: " << part;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  expect_refused(*with("2+3"), view(), "'2+3' has a width of 3, and the items have 2 attributes");
  expect_refused(*with("2-1"), view(), "'2-1' is no list of widths");
  expect_refused(*with("0"), view(), "'0' is no list of widths");
  expect_refused(*with("2+2"), view(), "'2+2' names 2 twice");
  for (const char* loss : {"bpr", "bce"}) {
    expect_refused(*with("2", {{"model.loss", std::string(loss)}}), view(),
                   std::string("does not go with model.loss = ") + loss);
  }
  const Catalog plain = test::plain_catalog(test::Planted::n_items);
  expect_refused(*with("1"), {test::Planted::n_users, plain, data_.purchases}, "the items have 0 attributes");
}

TEST_P(AttributeConvolutionTest, DamagedTensorsAreFound) {
  const auto model = fitted(*alone_, "1+2");
  const auto expect_found = [&](const std::string& name, const std::function<void(NamedTensor&)>& change) {
    std::vector<NamedTensor> tensors = model->tensors();
    const auto at = std::ranges::find(tensors, name, &NamedTensor::name);
    ASSERT_NE(at, tensors.end()) << name;
    change(*at);
    const auto restored = make_recommender("factorization");
    restored->set_size(model->n_users(), model->n_items());
    EXPECT_THROW(restored->restore(*alone_, Tensors(tensors)), DataError) << name;
  };
  const auto shape = [](std::vector<int64_t> values) { return [values](NamedTensor& t) { t.values = values; }; };
  expect_found("attribute_shape", shape({}));
  expect_found("attribute_shape", shape({2, 1}));
  expect_found("attribute_shape", shape({3, 1, 1, 2}));  // other rows than the attributes have
  expect_found("attribute_shape", shape({2, 1, 1, 1}));
  expect_found("attribute_shape", shape({2, 1, 0, 2}));
  expect_found("attribute_shape", shape({2, 1, 1, 3}));
  expect_found("attribute_shape", shape({int64_t{1} << 40, 1, 1, 2}));
  expect_found("attribute_shape", [](NamedTensor& t) { t.values = std::vector<float>{2, 1, 1, 2}; });
  expect_found("item_attributes.columns", [](NamedTensor& t) { std::get<std::vector<int32_t>>(t.values)[0] = 99; });
  expect_found("attribute_table", [](NamedTensor& t) { t.name = "other"; });
  expect_found("attribute_filters_2", [](NamedTensor& t) { std::swap(t.shape[0], t.shape[1]); });
  expect_found("attribute_projection", [](NamedTensor& t) { t.shape = {1, 48}; });
}

SHEAF_ON_EVERY_BACKEND(AttributeConvolutionTest);

}  // namespace
}  // namespace sheaf
