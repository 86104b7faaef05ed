#include "host/cli/program.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <new>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "engine/data/nearest.hpp"
#include "engine/io/standard_streams.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/former.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"

namespace sheaf::cli {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 internal error, 2 wrong usage, 3 bad or missing data, 4 device or memory, 5 interrupted.";

struct Command {
  const char* name;
  const char* help;
  const char* example;
  void (*run)(const Options&);
  std::function<void(CLI::App&, Options&)> add_options;
};

void add_data(CLI::App& app, Options& options) {
  app.add_option("DATA", options.data, "folder of a prepared set (sheaf import)")->required();
}
void add_model(CLI::App& app, Options& options, bool required) {
  app.add_option("--model", options.model, "folder of a trained model (sheaf train)")->required(required);
}
void add_out(CLI::App& app, Options& options, bool required) {
  app.add_option("--out", options.out, "folder to write; an older one of the same kind is replaced")
      ->required(required);
}

void add_users(CLI::App& app, Options& options) {
  app.add_option("--user", options.users, "this user; may be given several times")
      ->type_name("ID")
      ->allow_extra_args(false);
  app.add_option("--users", options.users_file, "the users of this file, an id a line")->type_name("FILE");
}

/// Takes whole numbers from `low` on.
CLI::Validator whole_number(int64_t low) {
  return {[low](std::string& text) {
            int64_t value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            const bool good = error == std::errc() && end == text.data() + text.size() && value >= low;
            return good ? std::string() : fmt::format("{} is no whole number of {} or more", text, low);
          },
          ""};
}

/// An option that is short for --set.
void add_setting(CLI::App& app, Options& options, const std::string& option, const std::string& setting,
                 const std::string& help) {
  app.add_option_function<std::string>(
         option, [&options, setting](const std::string& value) { options.flags.push_back(setting + "=" + value); },
         help)
      ->type_name("VALUE");
}

std::vector<Command> make_commands() {
  return {
      {"demo", "the whole job on the data that ships inside, with a report", "sheaf demo --out my-demo", run_demo,
       [](CLI::App& app, Options& o) { add_out(app, o, false); }},
      {"import", "read, clean, split and encode a file of purchases",
       "sheaf import purchases.csv.gz --config datasets/online_retail.toml --out data", run_import,
       [](CLI::App& app, Options& o) {
         app.add_option("FILE", o.files, "purchases as CSV or TSV, plain or gzip; several files are read as one")
             ->required();
         app.add_option("--config", o.import_config, "TOML: which column is what, the cleaning rules, the split")
             ->required();
         add_out(app, o, true);
       }},
      {"train", "learn what each user wants", "sheaf train data --out model --set model.dim=32", run_train,
       [](CLI::App& app, Options& o) {
         add_data(app, o);
         add_out(app, o, true);
         app.add_flag("--resume", o.resume, "go on from the newest state in OUT.checkpoints, bit for bit");
         app.add_option("--checkpoint-seconds", o.checkpoint_seconds,
                        "keep a state of the training so often; 0: after each epoch")
             ->check(CLI::Range(0.0, 1e9));
       }},
      {"tune", "choose a model's settings on the validation period",
       "sheaf tune data --space space.toml --out tuned --parallel 2", run_tune,
       [](CLI::App& app, Options& o) {
         add_data(app, o);
         app.add_option("--space", o.space, "TOML: the settings to choose among, each with a list or a range")
             ->required();
         add_out(app, o, true);
         app.add_option("--trials", o.trials, "settings to try, the present ones among them")->check(whole_number(1));
         app.add_option("--rounds", o.rounds, "1: all trials on all users; else a third goes on, to thrice the users")
             ->check(whole_number(1));
         app.add_option("--parallel", o.parallel, "trials at a time, over threads and devices")->check(whole_number(1));
       }},
      {"associate", "list which items belong together", "sheaf associate data --by lift --k 10 --out pairs.csv",
       run_associate,
       [](CLI::App& app, Options& o) {
         add_data(app, o);
         add_model(app, o, false);
         app.add_option("--out", o.out, "a file (.csv) or a folder to write; an older one is replaced");
         app.add_option("--item", o.item, "all measures of one item's partners; NAME is an id or part of a name")
             ->type_name("NAME");
         add_setting(app, o, "--by", "associate.by", "cosine, gcn, lift, ...: associate.by");
         add_setting(app, o, "--k", "associate.k", "partners of an item, 1 to 256");
         add_setting(app, o, "--min-score", "associate.min_score", "partners below this are left out");
         add_setting(app, o, "--min-count", "associate.min_count", "common baskets that a counted pair needs");
         add_setting(app, o, "--category-rule", "associate.category_rule", "any, same, different or table");
         app.add_flag_callback(
             "--symmetric", [&o] { o.flags.emplace_back("associate.symmetric=true"); },
             "list a pair both ways if either lists it, with the larger score");
       }},
      {"search", "find the bundles that sell, for the catalog or for named users",
       "sheaf search data --model model --out bundles --set search.budget=20", run_search,
       [](CLI::App& app, Options& o) {
         add_data(app, o);
         add_model(app, o, false);
         add_out(app, o, false);
         add_users(app, o);
         app.add_option("--item", o.item, "one bundle around this item, to stdout; NAME is an id or part of a name")
             ->type_name("NAME");
         app.add_flag("--together", o.together,
                      "one bundle for the named users together, or without names for all, to stdout");
         app.add_flag("--bound", o.bound, "an upper bound of what is possible beside each bundle in --out");
         app.add_option("--like", o.like, "CSV bundle,item: new bundles like these, without a model; needs --out");
         app.add_option("--write-problem", o.write_problem,
                        "write the problem of --item, --together or one user as TOML for sheaf solve, and stop");
         app.add_flag("--front", o.front, "the front of several objectives for --item, --together or one user");
       }},
      {"solve", "solve a bundle problem from a file, with a bound and a proof",
       "sheaf solve problem.toml --time-limit 10", run_solve,
       [](CLI::App& app, Options& o) {
         app.add_option("FILE", o.file, "the problem; host/data/README.md describes the formats")->required();
         app.add_option("--format", o.format,
                        "of the file: toml, qkp or qubo; if not given, by its ending, else by its text");
         app.add_option("--method", o.method, "portfolio (if not given), genetic, anneal, greedy, relaxed or exact");
         app.add_option("--time-limit", o.time_limit, "seconds; 0: the same work on every machine")
             ->check(CLI::Validator(
                 [](std::string& text) {
                   double seconds = 0.0;
                   const bool good =
                       CLI::detail::lexical_cast(text, seconds) && seconds >= 0.0 && std::isfinite(seconds);
                   return good ? std::string() : fmt::format("{} is no number of seconds, 0 or more", text);
                 },
                 ""));
         app.add_flag("--maximize", o.maximize, "a QUBO file is maximised, not minimised");
         app.add_flag("--no-bound", o.no_bound, "no upper bound and no proof beside the answer");
         app.add_flag("--front", o.front, "several objectives (TOML): their front");
         app.add_option("--population", o.population, "with --front: sets that NSGA-II keeps, 4 to 256")
             ->check(whole_number(4));
         app.add_option("--generations", o.generations, "with --front: generations of NSGA-II")->check(whole_number(0));
       }},
      {"mine", "the sets of items with the highest utility in a file of transactions",
       "sheaf mine transactions.txt --top 20", run_mine,
       [](CLI::App& app, Options& o) {
         app.add_option("FILE", o.file, "transactions with utilities, a line each: items:total:utility of each")
             ->required();
         app.add_option("--top", o.top, "list so many sets")->check(whole_number(1));
       }},
      {"complete", "the items that best complete a started basket or bundle",
       "sheaf complete data --items \"BANANAS 40 LB,1127831\" --k 5", run_complete,
       [](CLI::App& app, Options& o) {
         add_data(app, o);
         add_model(app, o, false);
         app.add_option("--items", o.items, "what is in it: ids or parts of names, with commas between")
             ->type_name("A,B");
         app.add_option("--user", o.users, "whose it is; --model says what the user wants");
         app.add_option("--size", o.size, "fill it up to so many items")->check(whole_number(1));
         app.add_option("--k", o.k, "list so many single items")->check(whole_number(1));
         app.add_option("--like", o.like, "CSV bundle,item: learn from these bundles in place of the training baskets");
         app.add_option("--file", o.file, "CSV bundle,item[,user]: complete each of these; prints JSON lines");
       }},
      {"score", "for every user the items and the bundle that suit best", "sheaf score data --model model --out scores",
       run_score,
       [](CLI::App& app, Options& o) {
         add_data(app, o);
         add_model(app, o, true);
         add_out(app, o, true);
         add_users(app, o);
       }},
      {"evaluate", "measure a model on the held-out period, beside the baselines",
       "sheaf evaluate data --model model --json", run_evaluate,
       [](CLI::App& app, Options& o) {
         add_data(app, o);
         add_model(app, o, true);
         add_out(app, o, false);
       }},
      {"devices", "list the devices that can compute", "sheaf devices --json", run_devices,
       [](CLI::App& app, Options& o) {
         app.add_flag("--no-measure", o.no_measure, "do not time a copy for the bandwidth");
       }},
      {"config", "print all settings as TOML", "sheaf config --set search.max_size=3 > my.toml", run_config,
       [](CLI::App&, Options&) {}},
      {"bench", "check and time the ops, as shares of what this machine can do at best",
       "sheaf bench --suite quick --filter '^(bag|adam)/' --out bench.json", run_bench,
       [](CLI::App& app, Options& o) {
         app.add_option("--suite", o.suite, "quick (two CPU cores, a minute) or full (a GPU)")
             ->check(CLI::IsMember({"quick", "full", "large"}));
         app.add_option("--filter", o.filter, "only benchmarks whose name this regular expression finds");
         app.add_option("--out", o.out, "write the result as JSON into this file");
         app.add_option("--markdown", o.markdown, "write the result as a Markdown table into this file");
         app.add_flag("--list", o.list, "print the names and stop");
       }},
  };
}

void add_common(CLI::App& app, Options& options) {
  app.add_flag("--json", options.json, "print the result as JSON");
  app.add_flag("--quiet", options.quiet, "no progress on stderr");
  app.add_option("--device", options.device, "auto, cpu, cuda or cuda:N")->type_name("DEVICE");
  app.add_option("--seed", options.seed, "of all random numbers")->type_name("N")->check(whole_number(0));
  app.add_option("--set", options.set,
                 "change a setting, section.key=value; may be given several times (sheaf config lists them)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--settings", options.settings, "a TOML file of settings")->type_name("FILE");
}

/// One message: what is wrong, and on a second line what to do.
int report(const char* command, const std::string& what, const std::string& mend, ExitCode code) {
  io::say(fmt::format("sheaf{}{}: {}\n{}", *command ? " " : "", command, what,
                      mend.empty() ? std::string() : fmt::format("  {}\n", mend)));
  return static_cast<int>(code);
}

int64_t milliseconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

/// `timeout`, supervisors and terminals often send one request to end twice, to the process and to its group. Within
/// this time after the first it is the same request.
constexpr int64_t kSameRequestMilliseconds = 300;
std::atomic<int64_t> first_request{-1};
static_assert(std::atomic<int64_t>::is_always_lock_free, "it is used in a signal handler");

extern "C" void on_signal(int) {
  const int64_t now = milliseconds_now();
  int64_t first = -1;
  if (first_request.compare_exchange_strong(first, now)) return request_interrupt();
  // A second Ctrl-C ends the program at once; folders are only ever renamed into place whole.
  if (now - first > kSameRequestMilliseconds) _exit(static_cast<int>(ExitCode::interrupted));
}

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // a read that waits for its writer ends with EINTR
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
  // A closed terminal ends the work like Ctrl-C; under nohup it goes on.
  struct sigaction before {};
  if (sigaction(SIGHUP, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
  // A closed pipe shows as a failed write, which is reported.
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
  sigaction(SIGXFSZ, &action, nullptr);  // a file above the limit of sizes is an error of writing, like a full disk
}

/// The first option whose value is an empty text, or none. It would read as if the option were not there.
std::string empty_option(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    const std::vector<std::string>& values = option->results();
    if (std::ranges::find(values, std::string()) != values.end()) return option->get_name();
  }
  return {};
}

/// What is written in place of a path that is a dash: elsewhere that is often the standard input or output.
std::string dash_mend(const std::string& option) {
  if (option == "DATA" || option == "--model") return "name a folder";
  if (option == "--out" || option == "--write-problem" || option == "--markdown") {
    return "name a file or folder; ./- if it is called so";
  }
  return "name a file; /dev/stdin is the standard input, ./- a file that is called so";
}

/// The first option that names a file or folder by a dash, or none.
std::string dash_option(const CLI::App& app) {
  for (const char* name : {"FILE", "DATA", "--config", "--model", "--users", "--like", "--file", "--settings",
                           "--space", "--out", "--write-problem", "--markdown"}) {
    const CLI::Option* option = app.get_option_no_throw(name);
    if (option != nullptr && std::ranges::count(option->results(), "-") > 0) return name;
  }
  return {};
}

/// Who is named twice is named once.
void drop_repeats(std::vector<std::string>& ids) {
  std::vector<std::string> once;
  for (std::string& id : ids) {
    if (std::ranges::find(once, id) == once.end()) once.push_back(std::move(id));
  }
  ids = std::move(once);
}

/// CLI11 names an unknown subcommand only as an extra argument.
std::string hint_for(int argc, char** argv, const std::vector<Command>& commands) {
  if (argc < 2 || argv[1][0] == '-') return "sheaf --help lists the subcommands";
  std::vector<std::string> names;
  for (const Command& command : commands) names.emplace_back(command.name);
  if (std::ranges::find(names, argv[1]) != names.end()) return fmt::format("sheaf {} --help shows an example", argv[1]);
  return fmt::format("did you mean '{}'? sheaf --help lists the subcommands", text::nearest(argv[1], names));
}

/// --help and --version: their text is a result like any other.
int show_help(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream text;
  app.exit(error, text, text);
  try {
    print(text.str());
    return static_cast<int>(ExitCode::done);
  } catch (const Error& failed) {
    return report("", failed.what(), failed.hint(), failed.code());
  }
}

/// `name` gets the name of the subcommand, for messages.
int run_command(int argc, char** argv, const char*& name) {
  const std::vector<Command> commands = make_commands();
  Options options;
  CLI::App app{
      "Sheaf learns from purchases what users want and which items belong together, and composes the bundles that "
      "sell."};
  app.name("sheaf");
  app.footer(std::string("sheaf COMMAND --help shows the options of a command and an example.\n") + kExitCodes);
  app.set_version_flag("--version", "sheaf " + version_text());
  app.require_subcommand(1);
  const Command* chosen = nullptr;
  for (const Command& command : commands) {
    CLI::App* sub = app.add_subcommand(command.name, command.help);
    command.add_options(*sub, options);
    add_common(*sub, options);
    sub->footer(fmt::format("Example: {}\n{}", command.example, kExitCodes));
    sub->callback([&chosen, &command] { chosen = &command; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return show_help(app, error);  // --help, --version
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (const auto former = former_spelling(words)) {
      return report(words.front().c_str(), former->what, former->mend, ExitCode::usage);
    }
    return report("", error.what(), hint_for(argc, argv, commands), ExitCode::usage);
  }
  name = chosen->name;
  const CLI::App& sub = *app.get_subcommand(name);
  if (const std::string empty = empty_option(sub); !empty.empty()) {
    throw UsageError(empty + " is given, but its value is empty", "give a value, or leave it out");
  }
  if (const std::string dash = dash_option(sub); !dash.empty()) {
    throw UsageError(dash + " is -, which is no path here", dash_mend(dash));
  }
  drop_repeats(options.users);
  chosen->run(options);
  return static_cast<int>(ExitCode::done);
}

constexpr const char* kOutOfMemory =
    ": out of memory\n  close other programs, or lower model.dim, search.candidates or search.anchors\n";
constinit const char* running = "";  // the subcommand, for the last words
constinit bool finished = false;     // run_program() is over
constinit bool no_memory = false;    // `new` has failed

void on_failed_new() {
  no_memory = true;
  throw std::bad_alloc();
}

/// Says that memory is short, and takes none for it.
void say_out_of_memory() noexcept {
  io::say("sheaf");
  io::say(*running ? " " : "");
  io::say(running);
  io::say(kOutOfMemory);
}

/// Memory may run out where nothing may be thrown, such as in a destructor. The exception is not always known then.
[[noreturn]] void on_terminate() {
  try {
    if (std::current_exception()) throw;
    if (no_memory) throw std::bad_alloc();
  } catch (const std::bad_alloc&) {
    say_out_of_memory();
    _exit(static_cast<int>(ExitCode::device));
  } catch (const std::exception& error) {
    io::say(error.what());
  } catch (...) {
  }
  io::say("\nsheaf: internal error\n  this is a bug: please report it with the command and its input\n");
  _exit(static_cast<int>(ExitCode::internal));
}

/// OpenMP and BLAS end the program themselves, with 1, where they get no memory or threads. They have said so.
void on_exit() {
  if (!finished) _exit(static_cast<int>(ExitCode::device));
}

}  // namespace

int run_program(int argc, char** argv) {
  io::hold_standard_streams();
  catch_signals();
  std::set_new_handler(on_failed_new);
  std::set_terminate(on_terminate);
  std::atexit(on_exit);
  const auto run = [&] {
    try {
      return run_command(argc, argv, running);
    } catch (const Error& error) {
      return report(running, error.what(), error.hint(), error.code());
    } catch (const std::bad_alloc&) {
      say_out_of_memory();
      return static_cast<int>(ExitCode::device);
    } catch (const std::system_error& error) {
      const bool memory =
          error.code() == std::errc::not_enough_memory || error.code() == std::errc::resource_unavailable_try_again;
      return report(running, error.what(), memory ? "close other programs" : "look at the file or the disk",
                    memory ? ExitCode::device : ExitCode::data);
    } catch (const std::exception& error) {
      return report(running, fmt::format("internal error: {}", error.what()),
                    "this is a bug: please report it with the command and its input", ExitCode::internal);
    }
  };
  const int code = run();
  finished = true;
  return code;
}

}  // namespace sheaf::cli
