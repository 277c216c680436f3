#include "bundle.hpp"

#include "errors.hpp"
#include "json.hpp"
#include "manifest.hpp"
#include "schema.hpp"

namespace fs = std::filesystem;

namespace ppresnet {
namespace {

constexpr const char *kDeploy = "deploy.json", *kLabels = "labels.txt", *kGolden = "golden.npz";

}  // namespace

Bundle read_bundle(const fs::path& path) {
  if (!fs::is_directory(path)) throw RequestError("no bundle at " + path.string() + ": expected an exported folder");
  try {
    const Entries entries = read_manifest(path);
    check_listing(path, entries, {kDeploy, kLabels, kGolden, "inference.pdmodel", "inference.pdiparams"});
    const auto contents = check_contents(path, entries, {kDeploy, kLabels, kGolden});
    const Json deploy = Json::parse(contents.at(kDeploy));
    if (deploy.at("schema_version").number() != 1) throw RequestError("schema_version is not 1");
    Entries others = entries;
    others.erase(kDeploy);
    if (parse_entries(deploy.at("files")) != others) throw RequestError("deploy.json and manifest.json disagree");
    Bundle bundle{path,
                  {},
                  parse_preprocess(deploy.at("preprocess")),
                  parse_activation(deploy),
                  parse_labels(contents.at(kLabels)),
                  read_golden(contents.at(kGolden))};
    for (const auto& [name, entry] : entries) bundle.files.insert(name);
    const Json& shape = deploy.at("outputs").at(0).at("shape");
    const std::string problem = disagreement(bundle.preprocess, bundle.golden, bundle.labels, shape);
    if (!problem.empty()) refuse(path, problem);
    return bundle;
  } catch (const RequestError& error) {
    if (std::string(error.what()).rfind(path.string(), 0) == 0) throw;
    refuse(path, error.what());
  } catch (const fs::filesystem_error& error) {
    refuse(path, error.what());
  }
}

}  // namespace ppresnet
