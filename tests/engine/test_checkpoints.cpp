// A training that is taken up again ends as if it had never stopped, bit for bit: every model of the registry that
// trains by epochs, with every loss that it has.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/train/checkpoints.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "tests/common/numbers.hpp"
#include "tests/engine/model_data.hpp"

namespace sheaf {
namespace {

/// States in memory, of each training of a run.
class MemoryCheckpoints final : public Checkpoints {
 public:
  std::optional<TrainState> begin() override {
    ++training_;
    const auto at = given_.find(training_);
    return at == given_.end() ? std::nullopt : std::optional(at->second);
  }
  bool due() const override { return is_due; }
  bool due_at_the_end() const override { return true; }
  void put(const TrainState& state) override { put_[training_].push_back(state); }

  /// For a new run: the newest states.
  void go_on() {
    for (const auto& [training, states] : put_) given_[training] = states.back();
    training_ = 0;
  }
  const std::map<int64_t, std::vector<TrainState>>& states() const { return put_; }
  std::map<int64_t, TrainState>& given() { return given_; }

  bool is_due = true;

 private:
  int64_t training_ = 0;
  std::map<int64_t, std::vector<TrainState>> put_;
  std::map<int64_t, TrainState> given_;
};

class CheckpointsTest : public test::OpTest {
 protected:
  ~CheckpointsTest() override { clear_interrupt(); }

  std::vector<float> fitted(const std::string& name, const std::string& loss, Checkpoints* checkpoints,
                            const SettingValues& more = {}) {
    const auto model = test::quick_model(name);
    SettingValues settings{{"model.validate_every", int64_t{1}}, {"model.epochs", int64_t{4}}};
    if (!loss.empty()) settings["model.loss"] = loss;
    if (loss == "softmax") settings["attribute_convolution.widths"] = std::string("1");  // of factorization
    apply_settings(model->settings(), settings);
    apply_settings(model->settings(), more);
    report_ = model->fit(context(), data_.view(), {.seed = 3, .checkpoints = checkpoints});
    return test::float_values(*model);
  }
  static std::vector<std::pair<std::string, std::string>> trained_by_epochs() {
    return {{"factorization", "softmax"},  {"factorization", "bpr"},
            {"factorization", "bce"},      {"additive", "bpr"},
            {"additive", "bce"},           {"sasrec", "softmax"},
            {"sasrec", "sampled_softmax"}, {"gru", "softmax"},
            {"lstm", "sampled_softmax"},   {"lightgcn", "softmax"},
            {"lightgcn", "bpr"},           {"autoencoder", "softmax"},
            {"autoencoder", "bce"},        {"fusion", ""}};
  }

  test::ModelData data_;
  FitReport report_;
};

TEST_P(CheckpointsTest, EveryModelGoesOnFromEveryStateBitForBit) {
  for (const auto& [name, loss] : trained_by_epochs()) {
    if (!context().on_cpu() && loss != "bpr") continue;  // states are copies, whatever made them
    SCOPED_TRACE(name + " " + loss);
    const std::vector<float> whole = fitted(name, loss, nullptr);
    const FitReport told = report_;
    MemoryCheckpoints kept;
    ASSERT_TRUE(test::same_bits(fitted(name, loss, &kept), whole)) << "keeping states changes the model";
    ASSERT_FALSE(kept.states().empty());
    for (const auto& [training, states] : kept.states()) {
      EXPECT_TRUE(states.back().finished);
      for (size_t s = 0; s < states.size(); ++s) {
        EXPECT_EQ(states[s].epoch(), static_cast<int64_t>(s) + 1);
        if (s > 0 && s + 2 != states.size()) continue;
        MemoryCheckpoints again;
        for (int64_t earlier = 1; earlier < training; ++earlier)
          again.given()[earlier] = kept.states().at(earlier).back();
        again.given()[training] = states[s];
        ASSERT_TRUE(test::same_bits(fitted(name, loss, &again), whole)) << "training " << training << ", state " << s;
        EXPECT_EQ(report_.best_epoch, told.best_epoch);
        EXPECT_EQ(report_.epochs.size(), told.epochs.size());
        EXPECT_EQ(report_.chosen, told.chosen);
      }
    }
  }
}

TEST_P(CheckpointsTest, EveryOptimizerAndScheduleGoesOnBitForBit) {
  if (!context().on_cpu()) return;  // states are copies, whatever made them
  for (const std::string optimizer : {"adamw", "adam", "rmsprop", "adagrad", "sgd"}) {
    for (const std::string schedule : {"cosine", "steps", "plateau"}) {
      for (const std::string loss : {"softmax", "bpr"}) {
        if (loss == "bpr" && schedule != "plateau") continue;  // steps touched rows, with the same numbers
        SCOPED_TRACE(optimizer + " " + schedule + " " + loss);
        const SettingValues settings{{"model.optimizer", optimizer},
                                     {"model.schedule", schedule},
                                     {"model.warmup_epochs", 1.5},
                                     {"model.decay_every", int64_t{2}},
                                     {"model.decay_patience", int64_t{1}},
                                     {"model.learning_rate", 0.3},
                                     {"model.clip_norm", loss == "softmax" ? 0.5 : 0.0}};
        MemoryCheckpoints kept;
        const std::vector<float> whole = fitted("factorization", loss, &kept, settings);
        const FitReport told = report_;
        MemoryCheckpoints again;
        again.given()[1] = kept.states().at(1).at(1);  // after two of four epochs
        ASSERT_TRUE(test::same_bits(fitted("factorization", loss, &again, settings), whole));
        for (size_t e = 0; e < told.epochs.size(); ++e) {
          EXPECT_EQ(report_.epochs[e].learning_rate, told.epochs[e].learning_rate);
        }
      }
    }
  }
}

TEST_P(CheckpointsTest, InterruptedAnywhereAndTakenUpItIsTheSame) {
  constexpr int64_t kMany = int64_t{1} << 40;
  for (const auto& [name, loss] : trained_by_epochs()) {
    if (!context().on_cpu()) continue;  // where looks are counted makes no difference to the states
    SCOPED_TRACE(name + " " + loss);
    interrupt_after(kMany);
    const std::vector<float> whole = fitted(name, loss, nullptr);
    const int64_t looks = kMany - looks_left();
    MemoryCheckpoints kept;
    std::vector<float> last;
    int interrupted = 0;
    for (const int64_t tenth : {2, 4, 5, 7, 10}) {  // of what a whole run looks, from where the last one ended
      clear_interrupt();
      interrupt_after(tenth == 10 ? kMany : std::max<int64_t>(1, looks * tenth / 10));
      kept.go_on();
      try {
        last = fitted(name, loss, &kept);
        break;
      } catch (const Interrupted&) {
        ++interrupted;
      }
    }
    clear_interrupt();
    EXPECT_GE(interrupted, 1);
    EXPECT_TRUE(test::same_bits(last, whole));
  }
}

TEST_P(CheckpointsTest, AStateOfAnotherModelIsRefused) {
  MemoryCheckpoints kept;
  fitted("factorization", "softmax", &kept);
  const TrainState good = kept.states().at(1).front();
  const auto expect_refused = [&](const std::function<void(TrainState&)>& harm) {
    MemoryCheckpoints again;
    TrainState state = good;
    harm(state);
    again.given()[1] = state;
    EXPECT_THROW(fitted("factorization", "softmax", &again), DataError);
  };
  expect_refused([](TrainState& s) { s.tables.pop_back(); });
  expect_refused([](TrainState& s) { s.tables.push_back(s.tables.back()); });
  expect_refused([](TrainState& s) { s.tables[0].name = "other"; });
  expect_refused([](TrainState& s) { s.tables[0].value.pop_back(); });
  expect_refused([](TrainState& s) { s.tables[0].moment1.pop_back(); });
  expect_refused([](TrainState& s) { s.tables[0].best.clear(); });
}

TEST_P(CheckpointsTest, ALossThatIsNotFiniteNamesStepAndParameterAndKeepsTheLastState) {
  MemoryCheckpoints kept;
  fitted("factorization", "bpr", &kept);
  TrainState broken = kept.states().at(1).front();
  for (TrainState::Table& table : broken.tables) {
    if (table.name == "item_table") table.value[0] = std::numeric_limits<float>::quiet_NaN();
  }
  MemoryCheckpoints again;
  again.given()[1] = broken;
  try {
    fitted("factorization", "bpr", &again);
    ADD_FAILURE();
  } catch (const DataError& error) {
    const std::string says = error.what();
    EXPECT_NE(says.find("epoch 2, by step "), std::string::npos) << says;
    EXPECT_NE(says.find("_table is not"), std::string::npos) << says;
    EXPECT_NE(error.hint().find("learning_rate"), std::string::npos);
  }
  EXPECT_TRUE(again.states().empty());  // nothing took the place of the last good one
}

SHEAF_ON_EVERY_BACKEND(CheckpointsTest);

}  // namespace
}  // namespace sheaf
