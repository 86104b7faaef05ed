// A model is not judged on rows that it has learned from.

#include "host/app/learned_rows.hpp"

#include <nlohmann/json.hpp>

#include "engine/io/manifest.hpp"
#include "host/data/import.hpp"
#include "host/text/format.hpp"
#include "kernels/core/error.hpp"
#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

constexpr const char* kRows =
    "u,b,i,t\n"
    "u1,1,a,2024-01-01\nu1,1,c,2024-01-01\nu2,2,b,2024-01-01\nu2,2,d,2024-01-01\n"
    "u1,3,b,2024-01-10\nu2,4,a,2024-01-10\n";

std::string toml(const std::string& split) {
  return "[columns]\nuser = \"u\"\nbasket = \"b\"\nitem = \"i\"\ntimestamp = \"t\"\n"
         "[timestamp]\nformat = \"%Y-%m-%d\"\n[split]\n" +
         split;
}

class LearnedRowsTest : public ProgramTest {
 protected:
  data::Prepared import_rows(const std::string& rows, const std::string& split) const {
    write_bytes(home() / "rows.csv", rows);
    write_bytes(home() / "rows.toml", toml(split));
    return data::import_file(home() / "rows.csv", data::load_import_config(home() / "rows.toml"), 1).first;
  }
  void import_to(const std::string& out, const std::string& split, const std::string& rows = kRows) const {
    write_bytes(home() / "rows.csv", rows);
    write_bytes(home() / "rows.toml", toml(split));
    must_run({"import", "rows.csv", "--config", "rows.toml", "--out", out, "--quiet"});
  }
  void train(const std::string& data, const std::string& out) const {
    must_run({"train", data, "--out", out, "--quiet", "--set", "model.dim=4", "--set", "model.epochs=5"});
  }
  static std::vector<std::string> evaluate(const std::string& data, const std::string& model) {
    return {"evaluate", data, "--model", model, "--quiet", "--set", "evaluate.k=1", "--set", "evaluate.mask_seen=true"};
  }
  static std::string refusal(const nlohmann::json& learned, const data::Prepared& prepared, bool validation = false) {
    try {
      return "allowed: " + app::check_unseen(learned, prepared, {validation});
    } catch (const UsageError& error) {
      return error.what();
    }
  }
};

TEST_F(LearnedRowsTest, TheDigestIsOfWhatRowsSay) {
  const data::Prepared all = import_rows(kRows, "validation_days = 0\ntest_days = 0\n");
  const data::Prepared cut = import_rows(kRows, "validation_days = 0\ntest_days = 5\n");
  const auto [train, none, test] = app::row_sets(cut);
  EXPECT_EQ(train.rows, 4);
  EXPECT_EQ(none, app::RowSet());
  EXPECT_EQ(test.rows, 2);
  EXPECT_EQ(test.last, 1704844800);
  EXPECT_EQ(app::row_sets(all)[0], app::joined(train, test));
  // Another shop before it gives every row of the first another code; another receipt number is the same basket.
  const data::Prepared other =
      import_rows("u,b,i,t\nu2,7,d,2024-01-01\nu2,7,b,2024-01-01\nu1,8,c,2024-01-01\nu1,8,a,2024-01-01\n",
                  "validation_days = 0\ntest_days = 0\n");
  EXPECT_EQ(app::row_sets(other)[0], train);
  for (const char* changed : {"u1,1,a,2024-01-02\n", "u1,1,b,2024-01-01\n", "u2,1,a,2024-01-01\n"}) {
    const data::Prepared one = import_rows(std::string("u,b,i,t\n") + changed, "validation_days = 0\ntest_days = 0\n");
    const data::Prepared usual = import_rows("u,b,i,t\nu1,1,a,2024-01-01\n", "validation_days = 0\ntest_days = 0\n");
    EXPECT_NE(app::row_sets(one)[0].digest, app::row_sets(usual)[0].digest) << changed;
  }
}

// Four periods of ten days: what is known and what is judged, in all pairs that differ.
TEST_F(LearnedRowsTest, OnlyWhatIsOlderIsJudged) {
  std::string rows = "u,b,i,t\n", older = rows;
  for (int day = 1; day <= 20; ++day) {
    const std::string row = "u" + std::to_string(day % 3) + "," + std::to_string(day) + ",i" + std::to_string(day % 4) +
                            ",2024-01-" + (day < 10 ? "0" : "") + std::to_string(day) + "\n";
    rows += row;
    if (day <= 8) older += row;
  }
  const auto split = [&](int validation, int test, const std::string& of) {
    return import_rows(
        of, "validation_days = " + std::to_string(validation) + "\ntest_days = " + std::to_string(test) + "\n");
  };
  const data::Prepared data = split(5, 5, rows);
  const auto learned = [&](int validation, int test) { return app::learned_rows(split(validation, test, rows)); };
  EXPECT_EQ(refusal(learned(5, 5), data), "allowed: ");
  EXPECT_EQ(refusal(learned(5, 5), data, true), "allowed: ");
  EXPECT_EQ(refusal(learned(0, 5), data), "allowed: ") << "train and validation together are older than the test";
  EXPECT_TRUE(has(refusal(learned(0, 5), data, true), "the model knows rows of the validation and test periods"));
  EXPECT_EQ(refusal(learned(0, 10), data), "allowed: ");
  EXPECT_TRUE(has(refusal(learned(0, 0), data), "the model knows rows of the test period"));
  EXPECT_TRUE(has(refusal(learned(5, 0), data), "the model knows rows of the test period"))
      << "chosen by the test rows";
  EXPECT_TRUE(has(refusal(learned(10, 0), data), "the model knows rows of the test period"));
  EXPECT_TRUE(has(refusal(learned(0, 2), data), "the model may know rows of the test period"));
  const nlohmann::json early = app::learned_rows(split(0, 0, older));
  EXPECT_TRUE(has(refusal(early, data), "allowed: the model did not learn from the training part of this data"));
  EXPECT_TRUE(has(refusal(early, data), "8 rows from 2024-01-01 to 2024-01-08"));
  std::string until = older;
  for (int day = 9; day <= 16; ++day)
    until += "u0,x" + std::to_string(day) + ",i0,2024-01-" + std::to_string(day) + "\n";
  until.replace(until.find("2024-01-9"), 9, "2024-01-09");
  EXPECT_TRUE(has(refusal(app::learned_rows(split(0, 0, until)), data), "may know rows")) << "the test's first day";
  // By no time at all: another draw of a random split.
  const auto random = [&](int seed) {
    return import_rows(rows, "kind = \"random\"\ntest_fraction = 0.3\nseed = " + std::to_string(seed) + "\n");
  };
  EXPECT_EQ(refusal(app::learned_rows(random(1)), random(1)), "allowed: ");
  EXPECT_TRUE(has(refusal(app::learned_rows(random(2)), random(1)), "may know rows"));
  EXPECT_FALSE(app::knows_validation(learned(5, 5), data));
  EXPECT_TRUE(app::knows_validation(learned(0, 5), data));
  EXPECT_FALSE(app::knows_validation(learned(0, 10), data));
  for (const nlohmann::json& notes :
       {nlohmann::json(), nlohmann::json::object(), nlohmann::json{{"train", 3}, {"validation", 3}}}) {
    EXPECT_THROW((void)app::check_unseen(notes, data, {}), DataError) << notes;
  }
}

TEST_F(LearnedRowsTest, AModelThatKnowsTheTestRowsIsRefused) {
  import_to("all", "validation_days = 0\ntest_days = 0\n");
  import_to("data", "validation_days = 0\ntest_days = 5\n");
  train("all", "knows");
  train("data", "honest");
  const Finished honest = must_run(evaluate("data", "honest"));
  EXPECT_FALSE(has(honest.out, "note:")) << honest.out;
  expect_failure(evaluate("data", "knows"), 2, "the model knows rows of the test period that it would be judged on");
  const std::string said = run(evaluate("data", "knows")).err;
  for (const char* part : {"it learned from 6 rows from 2024-01-01 to 2024-01-10, digest ",
                           "the training part of the data has 4 rows from 2024-01-01 to 2024-01-01",
                           "judged on 2 rows from 2024-01-10 to 2024-01-10", "sheaf train DATA"}) {
    EXPECT_TRUE(has(said, part)) << part << "\n" << said;
  }
  // A model of an older day is judged, and the page says so.
  import_to("short", "validation_days = 0\ntest_days = 0\n",
            "u,b,i,t\nu1,1,a,2024-01-01\nu2,2,b,2024-01-01\nu2,2,c,2024-01-01\nu2,2,d,2024-01-01\n");
  train("short", "old");
  EXPECT_TRUE(
      must_run(evaluate("data", "old")).out.starts_with("note: the model did not learn from the training part"));
  std::vector<std::string> json = evaluate("data", "old");
  json.emplace_back("--json");
  EXPECT_EQ(nlohmann::json::parse(must_run(json).out)["notes"].size(), 1u);
}

TEST_F(LearnedRowsTest, AModelThatDoesNotSayWhatItKnowsIsNotJudged) {
  import_to("data", "validation_days = 0\ntest_days = 5\n");
  train("data", "model");
  nlohmann::json manifest = nlohmann::json::parse(read("model/manifest.json"));
  ASSERT_EQ(manifest["notes"].erase("learned_from"), 1u);
  write_bytes(home() / "model" / "manifest.json", io::sealed_text(manifest));
  expect_failure(evaluate("data", "model"), 3, "does not say which rows it learned from");
  must_run({"complete", "data", "--model", "model", "--user", "u1", "--items", "a", "--quiet"});
}

TEST_F(LearnedRowsTest, AModelIsLearnedAgainFromLaterRows) {
  prepare();
  const auto train = [&](const std::string& refit, const std::string& out) {
    const Finished trained = must_run(
        {"train", "data", "--out", out, "--set", "model.preference=personal", "--set", "model.refit=" + refit});
    return std::pair(trained.err, nlohmann::json::parse(read(out + "/manifest.json")));
  };
  const auto [said, none] = train("none", "none");
  const auto [said_more, validation] = train("validation", "validation");
  const auto [said_all, all] = train("all", "all");
  EXPECT_FALSE(has(said, "learned again")) << said;
  // The rows of both periods, and nothing was chosen by any of them.
  const auto rows = [](const nlohmann::json& manifest, const char* part) {
    return manifest["notes"]["learned_from"][part]["rows"].get<int64_t>();
  };
  const data::Prepared prepared = data::load_prepared(home() / "data");
  const int64_t n_test = std::ranges::count(prepared.split, data::kTest);
  EXPECT_GT(rows(none, "validation"), 0);
  EXPECT_EQ(rows(validation, "train"), rows(none, "train") + rows(none, "validation"));
  EXPECT_EQ(rows(validation, "validation"), 0);
  EXPECT_EQ(rows(all, "train"), std::ssize(prepared.split));
  EXPECT_EQ(rows(all, "train"), rows(validation, "train") + n_test);
  EXPECT_TRUE(
      has(said_more, "learned again, as chosen, from " + text::with_commas(rows(validation, "train")) + " lines"))
      << said_more;
  // Chances are those of the model that did not see the validation period, and so is what was chosen.
  EXPECT_EQ(validation["calibration"], none["calibration"]);
  EXPECT_EQ(all["calibration"], none["calibration"]);
  // The baselines know as much as the model.
  const auto ranking = [&](const std::string& model) {
    return nlohmann::json::parse(
        must_run({"evaluate", "data", "--model", model, "--quiet", "--json", "--set", "search.budget=1e-9"})
            .out)["ranking"];
  };
  const nlohmann::json before = ranking("none"), after = ranking("validation");
  EXPECT_EQ(before[0]["history"], "train");
  EXPECT_EQ(after[0]["history"], "validation");
  const auto counts = [](const nlohmann::json& table) {
    for (const nlohmann::json& row : table) {
      if (row["name"] == "personal-count" && row["k"] == 10) return row["ndcg"].get<double>();
    }
    return 0.0;
  };
  EXPECT_NE(counts(before), counts(after));
  EXPECT_TRUE(has(must_run({"evaluate", "data", "--model", "validation", "--quiet", "--set", "search.budget=1e-9"}).out,
                  "full catalog; history through validation"));
  // Without a validation period there is nothing to learn again from.
  import_to("short", "validation_days = 0\ntest_days = 5\n");
  EXPECT_TRUE(has(must_run({"train", "short", "--out", "m", "--set", "model.preference=personal", "--set",
                            "model.refit=validation"})
                      .err,
                  "model.refit = validation changes nothing"));
  expect_failure({"evaluate", "data", "--model", "all"}, 2, "knows rows of the test period");
}

TEST_F(LearnedRowsTest, ASearchSaysThatChancesComeOutTooHigh) {
  std::string late = kImportToml;
  late.replace(late.find("validation_days = 14"), 20, "validation_days = 0");
  late.replace(late.find("min_item_users = 2"), 18, "min_item_users = 0");
  write_bytes(home() / "late.toml", late);
  late.replace(late.find("validation_days = 0"), 19, "validation_days = 14");
  write_bytes(home() / "shop.toml", late);
  prepare();
  must_run({"import", "shop.csv", "--config", "late.toml", "--out", "joined"});
  must_run({"train", "joined", "--out", "model", "--set", "model.dim=8", "--set", "model.epochs=5", "--quiet"});
  const std::string line = "the model was fitted to rows of the validation period";
  EXPECT_TRUE(has(must_run(small({"score", "data", "--model", "model", "--out", "s", "--user", "c3"})).err, line));
  EXPECT_TRUE(has(must_run(small({"search", "data", "--model", "model", "--user", "c3"})).err, line));
  EXPECT_FALSE(has(must_run(small({"search", "joined", "--model", "model", "--user", "c3"})).err, line));
  EXPECT_TRUE(has(must_run(small({"evaluate", "data", "--model", "model", "--quiet"})).out, "note: " + line));
  expect_failure(small({"evaluate", "data", "--model", "model", "--set", "search.history=train"}), 2,
                 "knows rows of the validation and test periods");
}

}  // namespace
}  // namespace sheaf
