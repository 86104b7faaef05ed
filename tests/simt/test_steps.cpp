/// What a training step launches: work that all its parts share is done once.

#include "engine/layers/transformer.hpp"
#include "engine/models/sequence_step.hpp"
#include "engine/train/pair_step.hpp"
#include "tests/simt/simt_test.hpp"

namespace simt::test {
namespace {

/// Launches of these kernels while work() runs.
template <class Work>
uint64_t launches_in(const std::vector<std::string>& kernels, const Work& work) {
  const auto count = [&] {
    uint64_t sum = 0;
    for (const std::string& kernel : kernels) sum += launches_of(kernel);
    return sum;
  };
  const uint64_t before = count();
  work();
  return count() - before;
}

// The biases of users and items are looked up by the ids that their vectors are looked up by.
TEST(SimtSteps, APairStepSortsEachOfItsIdsOnce) {
  sheaf::Context context(sheaf::resolve_device("simt"));
  sheaf::PairTables model(context, sheaf::PairForm::dot, 4, 8, sheaf::identity_csr(6));
  model.initialise(1);
  const sheaf::HostCsr bought =
      sheaf::csr_from_pairs(std::vector<int32_t>{0, 1, 2, 3}, std::vector<int32_t>{5, 1, 0, 2}, {}, 4, 6);
  const sheaf::TrainParams params;
  const sheaf::Positives positives(context, bought, params);
  sheaf::PairStep step(context, model, positives, params);
  sheaf::Buffer<double> loss(context, std::vector<double>{0.0});
  const auto run = [&] { step.run(1, 0, 4, {.step = 1}, loss.view()); };
  EXPECT_EQ(launches_in({"expand_bags_kernel", "expand_slots_kernel"}, run), 2u);
}

// The order of its sequences is the batch's, for all layers and both passes.
TEST(SimtSteps, ATransformerStepMakesNoScheduleOfItsOwn) {
  sheaf::Context context(sheaf::resolve_device("simt"));
  const sheaf::TransformerShape shape{.layers = 2, .heads = 1, .max_length = 4, .feed_forward = 4};
  sheaf::PairTables model(context, sheaf::PairForm::items, 2, 8, sheaf::identity_csr(6));
  sheaf::Transformer transformer(context, shape, 8);
  model.initialise(1);
  transformer.initialise(1, 7);
  sheaf::History history;
  history.items = {0, 1, 2, 3, 4};
  history.baskets = {0, 1, 2, 3, 4};
  history.offsets = {0, 3, 5};
  const sheaf::SequenceBatch batch(context, sheaf::next_items(history, 6, 4, 1), 6, shape.tokens());
  const sheaf::SequenceCandidates candidates(context, batch);
  sheaf::SequenceStep step(context, model, transformer, 0.0f, 1);
  sheaf::Buffer<double> loss(context, std::vector<double>{0.0});
  const auto run = [&] { step.differentiate(batch, candidates, 1, loss.view()); };
  uint64_t n_attention = 0;
  EXPECT_EQ(launches_in({"schedule_kernel"},
                        [&] {
                          n_attention = launches_in({"attention_kernel", "short_gradient_kernel",
                                                     "query_gradient_kernel", "key_gradient_kernel"},
                                                    run);
                        }),
            0u);
  EXPECT_GE(n_attention, 4u) << "two layers, forward and backward";
}

}  // namespace
}  // namespace simt::test
