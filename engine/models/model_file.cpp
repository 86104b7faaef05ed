#include "engine/models/model_file.hpp"

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/io/safetensors.hpp"
#include "engine/models/registry.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::io {
namespace {

constexpr const char* kTensors = "model.safetensors";

template <class T>
std::vector<T> copy_of(std::span<const T> values) {
  return {values.begin(), values.end()};
}

nlohmann::json to_json(const SettingValues& values) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [name, value] : values) {
    std::visit([&, key = name](const auto& x) { json[key] = x; }, value);
  }
  return json;
}

SettingValues settings_of(const nlohmann::json& json) {
  SettingValues values;
  for (const auto& [name, value] : json.items()) {
    if (value.is_boolean()) {
      values[name] = value.get<bool>();
    } else if (value.is_number_integer()) {
      values[name] = value.get<int64_t>();
    } else if (value.is_number()) {
      values[name] = value.get<double>();
    } else {
      values[name] = value.get<std::string>();
    }
  }
  return values;
}

NamedTensor read_tensor(const SafetensorsFile& file, const std::string& name) {
  NamedTensor tensor{name, file.shape(name), {}};
  switch (file.type(name)) {
    case TensorType::f32: tensor.values = copy_of(file.tensor<float>(name)); break;
    case TensorType::i32: tensor.values = copy_of(file.tensor<int32_t>(name)); break;
    case TensorType::i64: tensor.values = copy_of(file.tensor<int64_t>(name)); break;
    default: throw_bad_tensor(name, "has a type that no model has");
  }
  return tensor;
}

/// Errors of what is in the folder say which folder it is.
template <class F>
auto in_folder(const std::filesystem::path& folder, F&& f) {
  try {
    return f();
  } catch (const nlohmann::json::exception& error) {
    throw DataError((folder / "manifest.json").string() + ": " + error.what(), "train the model again");
  } catch (const DeviceError&) {
    throw;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    throw DataError(folder.string() + ": " + error.what(), "train the model again");
  }
}

}  // namespace

void save_model(Recommender& model, const nlohmann::json& notes, const std::filesystem::path& folder) {
  FolderWriter writer(folder, kModelKind);
  save_model(model, notes, writer);
}

void save_model(Recommender& model, const nlohmann::json& notes, FolderWriter& writer) {
  SafetensorsWriter tensors;
  const std::vector<NamedTensor> learned = model.tensors();  // the writer keeps views
  for (const NamedTensor& tensor : learned) {
    std::visit([&](const auto& values) { tensors.add(tensor.name, tensor.shape, values); }, tensor.values);
  }
  tensors.write(writer.path() / kTensors);
  writer.commit({{"model", std::string(model.name())},
                 {"settings", to_json(values_of(model.settings()))},
                 {"n_users", model.n_users()},
                 {"n_items", model.n_items()},
                 {"calibration", {{"slope", model.calibration.slope}, {"offset", model.calibration.offset}}},
                 {"notes", notes}});
}

LoadedModel load_model(Context& context, const std::filesystem::path& folder) {
  const nlohmann::json manifest = read_folder(folder, kModelKind, {kTensors});
  return in_folder(folder, [&] {
    LoadedModel loaded{make_recommender(manifest.at("model").get<std::string>()), manifest.at("notes")};
    Recommender& model = *loaded.model;
    if (!manifest.at("settings").is_object()) throw DataError("the settings are no object");
    SettingValues values = settings_of(manifest.at("settings"));
    // JSON has one kind of number: 1.0 may have been written as 1.
    for (const auto& [name, usual] : values_of(model.settings())) {
      const auto at = values.find(name);
      if (at == values.end() || !std::holds_alternative<double>(usual)) continue;
      if (const auto* integer = std::get_if<int64_t>(&at->second)) at->second = static_cast<double>(*integer);
    }
    apply_settings(model.settings(), values);
    model.set_size(count_at(manifest, "n_users", 1), count_at(manifest, "n_items", 1));
    model.calibration.slope = number_at(manifest.at("calibration"), "slope");
    model.calibration.offset = number_at(manifest.at("calibration"), "offset");
    const SafetensorsFile file(folder / kTensors);
    std::vector<NamedTensor> tensors;
    for (const std::string& name : file.names()) tensors.push_back(read_tensor(file, name));
    check_same(folder, manifest);
    model.restore(context, Tensors(std::move(tensors)));
    return loaded;
  });
}

}  // namespace sheaf::io
