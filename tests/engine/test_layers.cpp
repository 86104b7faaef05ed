// Every layer and every trained model against its definition in double precision: values, and gradients by central
// differences of the definition. A case says how to run and what the definition is; one check serves all. SASRec's is
// in test_transformer.cpp.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>

#include "engine/layers/attention_layer.hpp"
#include "engine/layers/attribute_convolution.hpp"
#include "engine/layers/elementwise.hpp"
#include "engine/layers/embedding_bag.hpp"
#include "engine/layers/linear.hpp"
#include "engine/layers/pair_scores.hpp"
#include "engine/layers/propagation.hpp"
#include "engine/layers/recurrent_layer.hpp"
#include "engine/layers/residual_norm.hpp"
#include "engine/layers/sequential.hpp"
#include "engine/train/pair_step.hpp"
#include "engine/train/softmax_epoch.hpp"
#include "kernels/core/error.hpp"
#include "kernels/embedding/table_bag.hpp"
#include "kernels/sample/batch.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/engine_data.hpp"
#include "tests/engine/gradient_check.hpp"
#include "tests/reference/attention.hpp"
#include "tests/reference/layers.hpp"
#include "tests/reference/recurrent.hpp"

namespace sheaf {
namespace {

using test::Case;
using test::check;
using test::Named;
using test::Numbers;
using test::Outcome;
using test::sums_of;

// --- definitions -----------------------------------------------------------------------------------------------------

Numbers relu(Numbers x) {
  for (double& v : x) v = std::max(0.0, v);
  return x;
}

Numbers attention_of(const Numbers& qkv, int64_t dim, int64_t heads, const std::vector<int64_t>& offsets, int64_t place,
                     const DropoutDraw& dropout) {
  ref::AttentionProblem problem;
  problem.n_heads = problem.n_kv_heads = heads;
  problem.dim = dim / heads;
  problem.offsets = offsets;
  problem.scale = static_cast<double>(1.0f / std::sqrt(static_cast<float>(dim / heads)));
  problem.dropout = dropout.rate;
  problem.key = dropout.key(Purpose::attention);
  problem.first_sequence = place << 24;
  return ref::attention(problem, ref::split_heads(qkv, dim), ref::Arithmetic::exact).out;
}

ref::Dropout dropped_at(const DropoutDraw& dropout, int64_t place) {
  return {dropout.rate, dropout.key(Purpose::dropout), place << 36};
}

// ---------------------------------------------------------------------------------------------------------------------

class LayerTest : public test::OpTest {
 protected:
  Numbers floats(int64_t n, float low = -1.0f, float high = 1.0f) {
    return test::to_double(test::random_floats(n, seed_++, low, high));
  }
  static std::vector<float> narrow(const Numbers& values) { return {values.begin(), values.end()}; }
  Buffer<float> on_device(const Numbers& values) { return Buffer<float>(context(), narrow(values)); }
  /// Random values for all parameters, so that none is at a special point; their names and values.
  Named randomised(const std::vector<Parameter*>& parameters) {
    Named values;
    for (Parameter* p : parameters) {
      values[p->name] = floats(p->value.size(), -0.8f, 0.8f);
      p->value.assign(narrow(values[p->name]));
    }
    return values;
  }
  static Named gradients_of(const std::vector<Parameter*>& parameters) {
    Named gradients;
    for (const Parameter* p : parameters) gradients[p->name] = test::to_double(p->gradient.to_host());
    return gradients;
  }

  /// The check of a Layer on x [rows, cols]: `definition` maps parameters and "x" to the output.
  void check_layer(Layer& layer, int64_t rows, int64_t cols, const std::function<Numbers(const Named&)>& definition,
                   const std::vector<int64_t>& offsets = {0}, const DropoutDraw& dropout = {}) {
    Case what;
    what.inputs = randomised(layer.parameters());
    what.inputs["x"] = floats(rows * cols);
    what.definition = definition;
    what.run = [&](const Numbers& d_out) {
      begin_training(context(), layer.parameters());
      const Buffer<int64_t> device_offsets(context(), offsets);
      int64_t longest = 0;
      for (size_t s = 0; s + 1 < offsets.size(); ++s) longest = std::max(longest, offsets[s + 1] - offsets[s]);
      ScratchScope scratch(context());
      Pass pass(context(), scratch, dropout, {device_offsets.view(), longest});
      Buffer<float> x = on_device(what.inputs["x"]), d = on_device(d_out);
      Buffer<float> out(context(), d.size()), d_x(context(), x.size());
      const int64_t out_cols = layer.out_cols(cols);
      EXPECT_EQ(out_cols * rows, out.size());
      layer.forward(pass, x.matrix(rows, cols), out.matrix(rows, out_cols));
      layer.backward(pass, d.matrix(rows, out_cols), d_x.matrix(rows, cols));
      EXPECT_THROW(pass.take_back(), UsageError) << "something was kept that no backward pass took";
      Outcome run{test::to_double(out.to_host()), gradients_of(layer.parameters())};
      run.gradients["x"] = test::to_double(d_x.to_host());
      return run;
    };
    check(what);
  }

 private:
  uint32_t seed_ = 900;
};

TEST_P(LayerTest, Linear) {
  for (const bool with_relu : {false, true}) {
    SCOPED_TRACE(with_relu);
    Linear layer(context(), "w", 5, 3, {.relu = with_relu});
    check_layer(layer, 7, 5, [&](const Named& v) {
      const Numbers out = ref::linear(5, v.at("x"), v.at("w"), v.at("w_bias")).value;
      return with_relu ? relu(out) : out;
    });
  }
}

/// Convolutions of several widths beside each other, x [n, length * channels]; filters by `name` and width.
Numbers convolved(const Named& v, const std::string& name, const Numbers& x, const Convolution::Shape& shape, int64_t n,
                  int64_t length) {
  const auto n_widths = std::ssize(shape.widths);
  Numbers out(static_cast<size_t>(n * n_widths * shape.filters));
  for (int64_t w = 0; w < n_widths; ++w) {
    const int64_t width = shape.widths[static_cast<size_t>(w)];
    const ref::ConvolutionShape own{n, length, shape.channels, width, shape.filters};
    const std::string of = name + "_" + std::to_string(width);
    const Numbers pooled =
        ref::pooled(own, shape.pooling, relu(ref::convolution(own, x, v.at(of), v.at(of + "_bias")).value)).value;
    for (int64_t at = 0; at < n * shape.filters; ++at) {
      const int64_t row = at / shape.filters, filter = at % shape.filters;
      out[static_cast<size_t>((row * n_widths + w) * shape.filters + filter)] = pooled[static_cast<size_t>(at)];
    }
  }
  return out;
}

TEST_P(LayerTest, ConvolutionsOfSeveralWidths) {
  for (const auto pooling : {dense::ConvolutionPooling::max, dense::ConvolutionPooling::mean}) {
    SCOPED_TRACE(static_cast<int>(pooling));
    const Convolution::Shape shape{.channels = 2, .widths = {3, 1, 2}, .filters = 3, .pooling = pooling};
    Convolution layer(context(), "c", shape);
    check_layer(layer, 6, 8, [&](const Named& v) { return convolved(v, "c", v.at("x"), shape, 6, 4); });
    EXPECT_THROW(layer.out_cols(4), UsageError);
    EXPECT_THROW(layer.out_cols(9), UsageError);
  }
  EXPECT_THROW(Convolution(context(), "c", {.widths = {}}), UsageError);
  EXPECT_THROW(Convolution(context(), "c", {.widths = {2, 0}}), UsageError);
  EXPECT_THROW(Convolution(context(), "c", {.widths = {2, 3, 2}}), UsageError);
}

// Three attributes an item, of which the last is a number, missing for one item.
TEST_P(LayerTest, AttributesOfItemsThroughAConvolution) {
  constexpr int64_t kItems = 5, kLength = 3, kDim = 4;
  HostCsr attributes;
  attributes.n_columns = 6;
  for (int32_t i = 0; i < kItems; ++i) {
    for (const auto& [column, value] : {std::pair{i % 2, 1.0f}, std::pair{2 + i % 3, 1.0f}, std::pair{5, i - 2.5f}}) {
      if (column < 5 || i > 0) {
        attributes.columns.push_back(column);
        attributes.values.push_back(value);
      }
      attributes.row_offsets.push_back(attributes.nnz());
    }
  }
  const Convolution::Shape shape{.channels = 3, .widths = {1, 2}, .filters = 4};
  AttributeConvolution layer(context(), attributes, kItems, shape, kDim, true);
  Case what;
  what.inputs = randomised(layer.parameters());
  what.definition = [&](const Named& v) {
    const Numbers x = sums_of(attributes, v.at("attribute_table"), shape.channels);
    return ref::linear(8, convolved(v, "attribute_filters", x, shape, kItems, kLength), v.at("attribute_projection"),
                       v.at("attribute_projection_bias"))
        .value;
  };
  what.run = [&](const Numbers& d_out) {
    begin_training(context(), layer.parameters());
    ScratchScope scratch(context());
    Pass pass(context(), scratch);
    Buffer<float> out(context(), kItems * kDim), d = on_device(d_out);
    layer.forward(pass, out.matrix(kItems, kDim));
    layer.backward(pass, d.matrix(kItems, kDim));
    EXPECT_THROW(pass.take_back(), UsageError) << "something was kept that no backward pass took";
    return Outcome{test::to_double(out.to_host()), gradients_of(layer.parameters())};
  };
  check(what);
  EXPECT_THROW(AttributeConvolution(context(), attributes, kItems, {.widths = {4}}, kDim, false), UsageError);
}

TEST_P(LayerTest, FeedForward) {
  const std::unique_ptr<Layer> layer = make_feed_forward(context(), "f.", 4, 6, 0.5f);
  check_layer(*layer, 5, 4, [](const Named& v) {
    const Numbers inner = relu(ref::linear(4, v.at("x"), v.at("f.inner"), v.at("f.inner_bias")).value);
    return ref::linear(6, inner, v.at("f.outer"), v.at("f.outer_bias")).value;
  });
}

TEST_P(LayerTest, Activations) {
  const auto sigmoid = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
  const std::vector<std::pair<dense::Activation, std::function<double(double)>>> kinds{
      {dense::Activation::relu, [](double x) { return std::max(0.0, x); }},
      {dense::Activation::sigmoid, sigmoid},
      {dense::Activation::tanh, [](double x) { return std::tanh(x); }},
      {dense::Activation::gelu, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }}};
  for (const auto& [kind, definition] : kinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    ActivationLayer layer(kind);
    check_layer(layer, 4, 3, [&, f = definition](const Named& v) {
      Numbers out;
      for (const double x : v.at("x")) out.push_back(f(x));
      return out;
    });
  }
}

TEST_P(LayerTest, DropoutInASequence) {
  const DropoutDraw dropout{0.4f, 8, 5};
  Layers layers;
  layers.push_back(std::make_unique<DropoutLayer>(3));
  layers.push_back(std::make_unique<Linear>(context(), "w", 4, 2));
  Sequential layer(std::move(layers));
  check_layer(
      layer, 5, 4,
      [&](const Named& v) {
        Numbers x = v.at("x");
        for (size_t i = 0; i < x.size(); ++i) {
          const uint32_t draw = random_u32(dropout.key(Purpose::dropout), (uint64_t{3} << 36) + i / 4, i % 4);
          x[i] = uniform01(draw) >= dropout.rate ? x[i] / (1.0 - static_cast<double>(dropout.rate)) : 0.0;
        }
        return ref::linear(4, x, v.at("w"), v.at("w_bias")).value;
      },
      {0}, dropout);
}

TEST_P(LayerTest, AttentionWithDropout) {
  const std::vector<int64_t> offsets{0, 4, 4, 9};
  for (const DropoutDraw& dropout : {DropoutDraw{}, DropoutDraw{0.3f, 5, 2}}) {
    SCOPED_TRACE(dropout.rate);
    Attention layer(2, 3);
    check_layer(
        layer, 9, 3 * 6, [&](const Named& v) { return attention_of(v.at("x"), 6, 2, offsets, 3, dropout); }, offsets,
        dropout);
  }
}

TEST_P(LayerTest, AttentionIn16Bits) {
  const std::vector<int64_t> offsets{0, 5, 9};
  constexpr int64_t kRows = 9, kDim16 = 8, kHeads = 2;
  const auto check_type = [&]<class Half16>(Half16, Element type, double unit) {
    SCOPED_TRACE(to_string(type));
    const auto narrow16 = [](const Numbers& values) {
      std::vector<Half16> narrowed;
      for (const double v : values) narrowed.push_back(nearest<Half16>(static_cast<float>(v)));
      return narrowed;
    };
    const auto wide = [](const std::vector<Half16>& values) {
      Numbers widened;
      for (const Half16 v : values) widened.push_back(static_cast<double>(to_float(v)));
      return widened;
    };
    Case what;
    what.tolerance = 8 * unit;  // weights, scores' gradients and results are rounded to the type once each
    what.inputs["x"] = wide(narrow16(floats(kRows * 3 * kDim16)));
    what.definition = [&](const Named& v) { return attention_of(v.at("x"), kDim16, kHeads, offsets, 0, {}); };
    what.run = [&](const Numbers& d_out) {
      const Buffer<int64_t> device_offsets(context(), offsets);
      ScratchScope scratch(context());
      Pass pass(context(), scratch, {}, {device_offsets.view(), 5});
      Buffer<Half16> x(context(), narrow16(what.inputs["x"])), d(context(), narrow16(d_out));
      Buffer<Half16> out(context(), d.size()), d_x(context(), x.size());
      Attention layer(kHeads, 0);
      layer.forward(pass, {x.data(), kRows, 3 * kDim16, type}, {out.data(), kRows, kDim16, type});
      layer.backward(pass, {d.data(), kRows, kDim16, type}, {d_x.data(), kRows, 3 * kDim16, type});
      return Outcome{wide(out.to_host()), {{"x", wide(d_x.to_host())}}};
    };
    check(what);
  };
  check_type(Half{}, Element::f16, 0x1.0p-11);
  check_type(BFloat16{}, Element::bf16, 0x1.0p-8);
}

TEST_P(LayerTest, SelfAttention) {
  const std::vector<int64_t> offsets{0, 3, 8};
  SelfAttention layer(context(), "a.", 4, 2, 1);
  check_layer(
      layer, 8, 4,
      [&](const Named& v) {
        const Numbers qkv = ref::linear(4, v.at("x"), v.at("a.qkv"), v.at("a.qkv_bias")).value;
        return ref::linear(4, attention_of(qkv, 4, 2, offsets, 1, {}), v.at("a.out"), v.at("a.out_bias")).value;
      },
      offsets);
}

TEST_P(LayerTest, Recurrent) {
  const std::vector<int64_t> offsets{0, 3, 3, 8, 9};
  const auto definition_of = [&](bool lstm, const std::string& name, int64_t n_in, int64_t dim, const Named& v,
                                 const Numbers& x) {
    const Numbers gates = ref::linear(n_in, x, v.at(name + "input"), v.at(name + "input_bias")).value;
    const Numbers bias = lstm ? Numbers{} : v.at(name + "recurrent_bias");
    return ref::recurrent({lstm, dim, offsets, v.at(name + "recurrent"), bias}, gates).out.value;
  };
  Gru gru(context(), "g.", 4, 3);
  check_layer(
      gru, 9, 4, [&](const Named& v) { return definition_of(false, "g.", 4, 3, v, v.at("x")); }, offsets);
  Lstm lstm(context(), "l.", 2, 5);
  check_layer(
      lstm, 9, 2, [&](const Named& v) { return definition_of(true, "l.", 2, 5, v, v.at("x")); }, offsets);
  Layers layers;
  layers.push_back(std::make_unique<Lstm>(context(), "0.", 3, 2));
  layers.push_back(std::make_unique<Gru>(context(), "1.", 2, 4));
  Sequential both(std::move(layers));
  check_layer(
      both, 9, 3,
      [&](const Named& v) {
        return definition_of(false, "1.", 2, 4, v, definition_of(true, "0.", 3, 2, v, v.at("x")));
      },
      offsets);
}

TEST_P(LayerTest, PreNormOfAnyBranches) {
  for (const size_t n_branches : {0u, 1u, 2u}) {
    for (const DropoutDraw& dropout : {DropoutDraw{}, DropoutDraw{0.25f, 9, 4}}) {
      SCOPED_TRACE(testing::Message() << n_branches << " branches, dropout " << dropout.rate);
      Layers branches;
      for (size_t b = 0; b < n_branches; ++b) {
        branches.push_back(std::make_unique<Linear>(context(), "b" + std::to_string(b), 5, 5));
      }
      PreNorm layer(context(), 5, std::move(branches));
      check_layer(
          layer, 6, 5,
          [&](const Named& v) {
            Numbers branch = v.at("x"), sum, normed;
            for (size_t n = 0; n <= n_branches; ++n) {
              const std::string norm = "norm." + std::to_string(n);
              const ref::ResidualNorm at =
                  ref::residual_norm(5, branch, sum, v.at(norm + ".weight"), v.at(norm + ".bias"),
                                     dropped_at(dropout, static_cast<int64_t>(n)));
              sum = at.sum;
              normed = at.normed.value;
              if (n == n_branches) break;
              const std::string name = "b" + std::to_string(n);
              branch = ref::linear(5, normed, v.at(name), v.at(name + "_bias")).value;
            }
            return normed;
          },
          {0}, dropout);
    }
  }
}

TEST_P(LayerTest, EmbeddingBagAndPooling) {
  const HostCsr some = test::sparse({{0.5f, 0, 2, 0}, {0, 0, 0, 0}, {0, 1, 0, -1.5f}});
  const std::vector<int64_t> offsets{0, 3, 3, 4};
  for (const HostCsr& bags : {some, pooling_of(offsets, Pooling::last), pooling_of(offsets, Pooling::mean),
                              pooling_of(offsets, Pooling::sum), rows_of({2, 2, 0}, 4)}) {
    Case what;
    what.inputs["x"] = floats(4 * 3);
    what.definition = [&](const Named& v) { return sums_of(bags, v.at("x"), 3); };
    what.run = [&](const Numbers& d_out) {
      const EmbeddingBag bag(context(), bags, true);
      Buffer<float> x = on_device(what.inputs["x"]), d = on_device(d_out);
      Buffer<float> out(context(), d.size()), d_x(context(), x.size());
      bag.forward(context(), x.matrix(4, 3), out.matrix(bags.n_rows(), 3));
      bag.backward(context(), d.matrix(bags.n_rows(), 3), d_x.matrix(4, 3));
      return Outcome{test::to_double(out.to_host()), {{"x", test::to_double(d_x.to_host())}}};
    };
    check(what);
  }
  // Tables of 16 bits hold small whole numbers as they are.
  const EmbeddingBag bag(context(), test::sparse({{1, 0, 2, 0}, {0, 0, 0, 0}, {0, 1, 0, -3}}));
  const std::vector<float> rows{1, -2, 3, 4, 5, 6, -7, 8, 9, 10, 11, -12};
  const auto sums_of_16_bits = [&]<class Half16>(Half16, Element type) {
    std::vector<Half16> narrowed;
    for (const float v : rows) narrowed.push_back(nearest<Half16>(v));
    Buffer<Half16> table(context(), narrowed);
    Buffer<float> out(context(), 9);
    bag.forward_tensor(context(), Tensor(table.data(), 4, 3, type), out.matrix(3, 3));
    EXPECT_EQ(out.to_host(), (std::vector<float>{-13, 14, 21, 0, 0, 0, -26, -28, 42})) << to_string(type);
  };
  sums_of_16_bits(Half{}, Element::f16);
  sums_of_16_bits(BFloat16{}, Element::bf16);

  // By definition: the last row, the mean, the sum; nothing of a sequence without rows.
  EXPECT_EQ(pooling_of(offsets, Pooling::last).columns, (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(pooling_of(offsets, Pooling::mean).values, (std::vector<float>{1.0f / 3, 1.0f / 3, 1.0f / 3, 1}));
  EXPECT_EQ(pooling_of(offsets, Pooling::sum).row_offsets, (std::vector<int64_t>{0, 3, 3, 4}));
}

// Of many rows few are in a bag: the same bits as by a transpose of all rows, in memory for the entries alone.
TEST_P(LayerTest, BagsOfFewRows) {
  constexpr int64_t kBags = 40, kRows = 1000, kDim = 5;
  HostCsr bags;
  bags.n_columns = kRows;
  for (int64_t b = 0; b < kBags; ++b) {
    for (int64_t e = 0; e < b % 4; ++e) {
      bags.columns.push_back(static_cast<int32_t>(b * e * 37 % 7 + e * 331));  // some rows in many bags
      bags.values.push_back(0.25f * static_cast<float>(b - e));
    }
    bags.row_offsets.push_back(bags.nnz());
  }
  const Buffer<float> d(context(), test::random_floats(kBags * kDim, 5, -1.0f, 1.0f));
  Buffer<float> d_x(context(), kRows * kDim), expected(context(), kRows * kDim);
  const DeviceCsr readers(context(), transpose(bags));
  embedding::bag_sums(context(), d.matrix(kBags, kDim), embedding::bags_of(readers.view()),
                      expected.matrix(kRows, kDim));
  const EmbeddingBag bag(context(), bags, true);
  bag.backward(context(), d.matrix(kBags, kDim), d_x.matrix(kRows, kDim));
  EXPECT_TRUE(test::same_bits(d_x.to_host(), expected.to_host()));
  EXPECT_GT(readers.bytes(), 8 * kRows);
  EXPECT_LT(bag.bytes(), 8 * kRows / 2);

  HostCsr none;
  none.n_columns = kRows;
  none.row_offsets = {0, 0};
  EmbeddingBag(context(), none, true)
      .backward(context(), d.matrix(kBags, kDim).row_block(0, 1), d_x.matrix(kRows, kDim));
  EXPECT_EQ(d_x.to_host(), std::vector<float>(kRows * kDim, 0.0f));
}

/// Five nodes with weighted edges; the last has none.
HostCsr small_graph() {
  return test::sparse({{0, 2, 0, 1, 0}, {2, 0.5f, 3, 0, 0}, {0, 3, 0, 0.25f, 0}, {1, 0, 0.25f, 0, 0}, {0, 0, 0, 0, 0}});
}

/// D^-1/2 A D^-1/2 x.
Numbers normalised_step(const HostCsr& graph, const Numbers& x, int64_t dim) {
  Numbers degree;
  for (int64_t r = 0; r < graph.n_rows(); ++r) {
    double sum = 0;
    for (int64_t c = graph.row_offsets[static_cast<size_t>(r)]; c < graph.row_offsets[static_cast<size_t>(r) + 1];
         ++c) {
      sum += static_cast<double>(graph.values[static_cast<size_t>(c)]);
    }
    degree.push_back(sum);
  }
  Numbers scaled = x;
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = degree[i / static_cast<size_t>(dim)];
    scaled[i] = d > 0 ? x[i] / std::sqrt(d) : 0.0;
  }
  Numbers out = sums_of(graph, scaled, dim);
  for (size_t i = 0; i < out.size(); ++i) {
    const double d = degree[i / static_cast<size_t>(dim)];
    out[i] = d > 0 ? out[i] / std::sqrt(d) : 0.0;
  }
  return out;
}

TEST_P(LayerTest, PropagationOverAGraph) {
  const auto graph = std::make_shared<NormalisedGraph>(context(), small_graph());
  for (const int64_t steps : {0, 1, 2, 3}) {
    SCOPED_TRACE(steps);
    const auto mean_of = [&](const Named& v, const std::function<Numbers(const Numbers&, int64_t)>& layer) {
      Numbers now = v.at("x"), mean = now;
      for (int64_t s = 0; s < steps; ++s) {
        now = layer(normalised_step(small_graph(), now, 3), s);
        for (size_t i = 0; i < mean.size(); ++i) mean[i] += now[i];
      }
      for (double& m : mean) m /= static_cast<double>(steps + 1);
      return mean;
    };
    LightPropagation light(graph, steps);
    check_layer(light, 5, 3,
                [&](const Named& v) { return mean_of(v, [](const Numbers& reached, int64_t) { return reached; }); });
    ConvolvedPropagation convolved(context(), "g.", graph, 3, steps);
    EXPECT_EQ(convolved.parameters().size(), static_cast<size_t>(2 * steps));
    check_layer(convolved, 5, 3, [&](const Named& v) {
      return mean_of(v, [&](const Numbers& reached, int64_t s) {
        const std::string name = "g." + std::to_string(s);
        return relu(ref::linear(3, reached, v.at(name), v.at(name + "_bias")).value);
      });
    });
    EXPECT_THROW(convolved.out_cols(4), UsageError);
  }
  EXPECT_THROW(NormalisedGraph(context(), rows_of({0}, 2)), UsageError);
  EXPECT_THROW(NormalisedGraph(context(), test::sparse({{0, 1}, {0, 1}})), UsageError);
  EXPECT_THROW(NormalisedGraph(context(), test::sparse({{0, 1}, {2, 0}})), UsageError);
}

TEST_P(LayerTest, SomeRowsOfAPropagationAreThoseOfAll) {
  const NormalisedGraph graph(context(), small_graph());
  const Buffer<float> x = on_device(floats(5 * 3));
  Buffer<float> all(context(), 15), some(context(), 6);
  for (const int64_t steps : {0, 1, 3}) {
    graph.mean_of_steps(context(), x.matrix(5, 3), steps, all.matrix(5, 3));
    graph.mean_of_steps(context(), x.matrix(5, 3), steps, some.matrix(2, 3), 1);
    const std::vector<float> values = all.to_host();
    EXPECT_TRUE(test::same_bits(some.to_host(), std::vector<float>(values.begin() + 3, values.begin() + 9))) << steps;
  }
}

TEST(Propagation, GraphHasTheEdgesOfBothSides) {
  const HostCsr bought = test::sparse({{2, 0, 1}, {0, 0, 3}});
  const HostCsr items = test::sparse({{0, 4, 0}, {4, 0, 0}, {0, 0, 0}});
  const HostCsr plain = user_item_graph(bought), with_items = user_item_graph(bought, items, 0.5f);
  const HostCsr expected =
      test::sparse({{0, 0, 2, 0, 1}, {0, 0, 0, 0, 3}, {2, 0, 0, 2, 0}, {0, 0, 2, 0, 0}, {1, 3, 0, 0, 0}});
  EXPECT_EQ(with_items.columns, expected.columns);
  EXPECT_EQ(with_items.values, expected.values);
  EXPECT_EQ(with_items.row_offsets, expected.row_offsets);
  EXPECT_EQ(plain.columns, (std::vector<int32_t>{2, 4, 4, 0, 0, 1}));
  EXPECT_EQ(plain.values, (std::vector<float>{2, 1, 3, 2, 1, 3}));
  EXPECT_EQ(plain.n_columns, 5);
  EXPECT_TRUE(user_item_graph(test::pattern({{0}, {1}}, 2)).values.empty());
}

TEST_P(LayerTest, PairScores) {
  constexpr int64_t kBatch = 3, kGroup = 2, kDim = 4;
  for (const bool is_dot : {true, false}) {
    SCOPED_TRACE(is_dot ? "dot" : "additive");
    Parameter w_user = make_parameter(context(), "w_user", 1, kDim),
              w_item = make_parameter(context(), "w_item", 1, kDim);
    Parameter bias = make_parameter(context(), "bias", 1, 1);
    std::vector<Parameter*> parameters{&bias};
    if (!is_dot) parameters = {&w_user, &w_item, &bias};
    Case what;
    what.inputs = randomised(parameters);
    what.inputs["users"] = floats(kBatch * kDim);
    what.inputs["items"] = floats(kBatch * kGroup * kDim);
    if (is_dot) {
      what.inputs["user_bias"] = floats(kBatch);
      what.inputs["item_bias"] = floats(kBatch * kGroup);
    }
    what.definition = [&](const Named& v) {
      Numbers logits;
      for (size_t pair = 0; pair < kBatch * kGroup; ++pair) {
        const size_t user = pair / kGroup;
        double logit = v.at("bias")[0];
        if (is_dot) logit += v.at("user_bias")[user] + v.at("item_bias")[pair];
        for (size_t c = 0; c < kDim; ++c) {
          const double u = v.at("users")[user * kDim + c], i = v.at("items")[pair * kDim + c];
          logit += is_dot ? u * i : v.at("w_user")[c] * u + v.at("w_item")[c] * i;
        }
        logits.push_back(logit);
      }
      return logits;
    };
    what.run = [&](const Numbers& d_out) {
      begin_training(context(), parameters);
      ScratchScope scratch(context());
      Pass pass(context(), scratch);
      Buffer<float> users = on_device(what.inputs["users"]), items = on_device(what.inputs["items"]);
      Buffer<float> d_users(context(), users.size()), d_items(context(), items.size()), d = on_device(d_out);
      Buffer<float> logits(context(), d.size()), d_user_bias(context(), kBatch);
      const PairVectors x{users.matrix(kBatch, kDim), items.matrix(kBatch * kGroup, kDim)};
      const PairVectors d_x{d_users.matrix(kBatch, kDim), d_items.matrix(kBatch * kGroup, kDim)};
      Outcome run;
      if (is_dot) {
        const Buffer<float> user_bias = on_device(what.inputs["user_bias"]),
                            item_bias = on_device(what.inputs["item_bias"]);
        DotScores scores(bias);
        scores.forward(pass, x, user_bias.view(), item_bias.view(), logits.matrix(kBatch, kGroup));
        scores.backward(pass, x, d.matrix(kBatch, kGroup), d_x, d_user_bias.view());
        run.gradients["user_bias"] = test::to_double(d_user_bias.to_host());
        run.gradients["item_bias"] = d_out;
      } else {
        AdditiveScores scores(w_user, w_item, bias);
        scores.forward(pass, x, logits.matrix(kBatch, kGroup));
        scores.backward(pass, x, d.matrix(kBatch, kGroup), d_x);
      }
      run.out = test::to_double(logits.to_host());
      run.gradients.merge(gradients_of(parameters));
      run.gradients["users"] = test::to_double(d_users.to_host());
      run.gradients["items"] = test::to_double(d_items.to_host());
      return run;
    };
    check(what);
  }
}

// --- models ----------------------------------------------------------------------------------------------------------

constexpr int64_t kUsers = 4, kItems = 7, kDim = 3;

/// Item i has its own row and one of two features.
HostCsr featured_items() {
  HostCsr bags;
  bags.n_columns = kItems + 2;
  for (int32_t i = 0; i < kItems; ++i) {
    bags.columns.push_back(i);
    bags.columns.push_back(static_cast<int32_t>(kItems) + i % 2);
    bags.row_offsets.push_back(bags.nnz());
  }
  return bags;
}

HostCsr weighted_purchases() {
  HostCsr bought = test::pattern({{0, 3, 5}, {1}, {2, 3, 6}, {0, 4}}, kItems);
  for (int64_t e = 0; e < bought.nnz(); ++e) bought.values.push_back(1.0f + static_cast<float>(e % 3));
  return bought;
}

TEST_P(LayerTest, FactorizationBySoftmax) {
  const HostCsr attributes = [] {
    HostCsr rows = rows_of({}, 5);  // two attributes an item, of two and of three values
    for (int32_t i = 0; i < kItems; ++i) {
      for (const int32_t value : {i % 2, 2 + i % 3}) {
        rows.columns.push_back(value);
        rows.row_offsets.push_back(rows.nnz());
      }
    }
    return rows;
  }();
  const Convolution::Shape shape{.channels = 2, .widths = {1, 2}, .filters = 6};
  for (const bool with_attributes : {false, true}) {
    SCOPED_TRACE(with_attributes);
    PairTables tables(context(), PairForm::dot, kUsers, kDim, featured_items());
    if (with_attributes) tables.attributes.emplace(context(), attributes, kItems, shape, kDim, true);
    const HostCsr bought = weighted_purchases();
    TrainParams params;
    const std::unique_ptr<Epoch> epoch = make_softmax_epoch(context(), tables, bought, params);
    std::vector<Parameter*> trained = tables.parameters();
    std::erase_if(trained, [&](Parameter* p) { return p == &tables.user_bias || p == &tables.bias; });
    Case what;
    what.inputs = randomised(trained);
    what.definition = [&](const Named& v) {
      test::Scored scored{v.at("user_table"), sums_of(featured_items(), v.at("item_table"), kDim),
                          sums_of(featured_items(), v.at("item_bias"), 1), kDim};
      if (with_attributes) {
        const Numbers x = sums_of(attributes, v.at("attribute_table"), shape.channels);
        const Numbers told = ref::linear(12, convolved(v, "attribute_filters", x, shape, kItems, 2),
                                         v.at("attribute_projection"), v.at("attribute_projection_bias"))
                                 .value;
        for (size_t at = 0; at < told.size(); ++at) scored.items[at] += told[at];
      }
      return Numbers{test::softmax_loss(scored, bought)};
    };
    what.run = [&](const Numbers&) {
      const double loss = epoch->run(1);
      Outcome run{{loss}, gradients_of(trained)};
      // A vector that all items share moves all logits of a user alike: no gradient, and nothing to compare.
      run.gradients.erase("attribute_projection_bias");
      return run;
    };
    check(what);
  }
}

TEST_P(LayerTest, SampledPairsOfBothFormsAndLosses) {
  const HostCsr bought = weighted_purchases();
  constexpr uint32_t kEpoch = 3;
  for (const PairForm form : {PairForm::dot, PairForm::sum}) {
    for (const LossKind loss_kind : {LossKind::bpr, LossKind::bce}) {
      SCOPED_TRACE(testing::Message() << (form == PairForm::dot ? "dot, " : "sum, ") << to_string(loss_kind));
      TrainParams params;
      params.loss = loss_kind;
      params.negatives = 2;
      params.dropout = 0.3f;
      params.weight_power = 0.5f;
      params.positive_weight = 1.7f;
      params.seed = 21;
      const auto n_batch = bought.nnz(), group = params.negatives + 1;
      PairTables tables(context(), form, kUsers, kDim, featured_items());
      const Positives positives(context(), bought, params);
      PairStep step(context(), tables, positives, params);

      // The pairs that the step draws.
      Buffer<int32_t> batch_users(context(), n_batch), batch_items(context(), n_batch * group);
      Buffer<float> batch_weights(context(), n_batch);
      sample::batch(context(), {.seed = params.seed,
                                .epoch = kEpoch,
                                .users = positives.users.view(),
                                .items = positives.items.view(),
                                .weights = positives.weights.view(),
                                .taken = positives.taken.view(),
                                .alias_threshold = {},
                                .alias_item = {},
                                .batch_users = batch_users.view(),
                                .batch_items = batch_items.matrix(n_batch, group),
                                .batch_weights = batch_weights.view()});
      const std::vector<int32_t> users = batch_users.to_host(), items = batch_items.to_host();
      const std::vector<float> weights = batch_weights.to_host();

      Case what;
      what.tolerance = 1e-4;  // the gradient is read as the difference of two floats of size 1
      what.inputs = randomised(tables.parameters());
      what.definition = [&](const Named& v) {
        const RandomKey key{params.seed, Purpose::dropout, 1};
        const auto kept = [&](int64_t row, int64_t column) {
          const double u = static_cast<double>(
              uniform01(random_u32(key, static_cast<uint64_t>(row), static_cast<uint32_t>(column))));
          return u >= static_cast<double>(params.dropout) ? 1.0 / (1.0 - static_cast<double>(params.dropout)) : 0.0;
        };
        const Numbers item_vectors = sums_of(featured_items(), v.at("item_table"), kDim);
        double loss = 0;
        for (int64_t b = 0; b < n_batch; ++b) {
          Numbers logits;
          for (int64_t g = 0; g < group; ++g) {
            const auto user = static_cast<size_t>(users[static_cast<size_t>(b)]);
            const auto item = static_cast<size_t>(items[static_cast<size_t>(b * group + g)]);
            double logit = v.at("bias")[0];
            if (form == PairForm::dot) {
              logit += v.at("user_bias")[user] + sums_of(featured_items(), v.at("item_bias"), 1)[item];
            }
            for (int64_t c = 0; c < kDim; ++c) {
              const auto at = static_cast<size_t>(c);
              const double x = kept(b, c) * v.at("user_table")[user * kDim + at];
              const double y = kept((int64_t{1} << 40) + b * group + g, c) * item_vectors[item * kDim + at];
              logit += form == PairForm::dot ? x * y : v.at("w_user")[at] * x + v.at("w_item")[at] * y;
            }
            logits.push_back(logit);
          }
          const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
          const double weight = static_cast<double>(weights[static_cast<size_t>(b)]);
          const double shares = static_cast<double>(n_batch * (loss_kind == LossKind::bpr ? group - 1 : group));
          if (loss_kind == LossKind::bce) loss += 1.7f * weight * softplus(-logits[0]) / shares;
          for (size_t g = 1; g < logits.size(); ++g) {
            loss += weight * softplus(loss_kind == LossKind::bpr ? logits[g] - logits[0] : logits[g]) / shares;
          }
        }
        return Numbers{loss};
      };
      what.run = [&](const Numbers&) {
        // Adam without memory and with a huge epsilon is gradient descent of rate 1: what a step subtracts is the
        // gradient.
        const OptimizerParams descent{.learning_rate = 1e8f, .beta1 = 0.0f, .epsilon = 1e8f, .step = 1};
        Buffer<double> loss(context(), std::vector<double>{0.0});
        step.run(kEpoch, 0, n_batch, descent, loss.view());
        Outcome run{loss.to_host(), {}};
        for (const Parameter* p : tables.parameters()) {
          if (loss_kind == LossKind::bpr &&
              (p->name == "bias" || p->name.starts_with("user_bias") || p->name == "w_user")) {
            continue;  // BPR compares items of one user: these cancel
          }
          Numbers& gradient = run.gradients[p->name] = what.inputs[p->name];
          const std::vector<float> now = p->value.to_host();
          for (size_t i = 0; i < now.size(); ++i) gradient[i] -= static_cast<double>(now[i]);
        }
        if (loss_kind == LossKind::bpr && form == PairForm::sum) run.gradients.erase("user_table");
        return run;
      };
      check(what);
    }
  }
}

// --- what is refused -------------------------------------------------------------------------------------------------

TEST_P(LayerTest, RefusesWhatDoesNotFit) {
  Linear layer(context(), "w", 5, 3);
  EXPECT_THROW(layer.out_cols(4), UsageError);
  EXPECT_THROW(Attention(2, 0).out_cols(9), UsageError);
  EXPECT_THROW(Sequential(Layers{}), UsageError);
  EXPECT_THROW(layer.weight.gradient_matrix(), UsageError);  // before begin_training()
  ScratchScope scratch(context());
  Pass pass(context(), scratch);
  EXPECT_THROW(pass.take_back(), UsageError);
  const MatrixView<float> x = pass.take(2, 5), out = pass.take(2, 3);
  EXPECT_THROW(layer.forward(pass, Tensor(x.data, 2, 5, Element::bf16), out), UsageError);
  const EmbeddingBag bag(context(), rows_of({0}, 2));
  EXPECT_THROW(bag.backward(context(), out, x), UsageError);
}

SHEAF_ON_EVERY_BACKEND(LayerTest);

}  // namespace
}  // namespace sheaf
