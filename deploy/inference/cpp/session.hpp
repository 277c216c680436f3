// A bundle's network in Paddle Inference on the CPU: float32 images in, logits out.
#pragma once

#ifdef PPRESNET_PADDLE_HEADERS
#include <paddle_inference_api.h>
#else
#include "paddle_inference_api_declarations.hpp"
#endif

#include <memory>
#include <string>

#include "bundle.hpp"
#include "errors.hpp"

namespace ppresnet {

struct Runtime {
  std::string format = "pdmodel";  // pdmodel | json; json needs Paddle 3
  std::string backend = "onednn";  // onednn | native
  int threads = 1;
};

// Paddle 3 renamed MKLDNN to ONEDNN; the overloads with int win where the new name exists.
template <typename Config>
auto set_onednn(Config& config, bool enabled, int) -> decltype(config.EnableONEDNN()) {
  if (!enabled) return config.DisableONEDNN();
  config.EnableONEDNN();
  config.SetOnednnCacheCapacity(10);  // shapes change with the batch
}

template <typename Config>
void set_onednn(Config& config, bool enabled, long) {
  if (!enabled) return config.DisableMKLDNN();
  config.EnableMKLDNN();
  config.SetMkldnnCacheCapacity(10);
}

template <typename Config>
auto read_json(Config& config, bool native, int) -> decltype(config.EnableNewIR(true)) {
  config.EnableNewExecutor(true);
  config.EnableNewIR(true);
  // Without these a .json keeps every batch norm on the native CPU.
  if (native) config.EnableCustomPasses({"conv2d_bn_fuse_pass", "matmul_add_act_fuse_pass"}, false);
}

template <typename Config>
void read_json(Config&, bool, long) {
  throw RequestError("this Paddle Inference reads no .json; use --format pdmodel");
}

// Not thread-safe, like the predictor in it: one for each thread.
class Session {
 public:
  // Throws RequestError when the bundle was exported without the format.
  Session(const Bundle& bundle, const Runtime& runtime) {
    const std::string program = "inference." + runtime.format;
    if (!bundle.files.count(program)) throw RequestError("the bundle has no " + program + "; try another --format");
    paddle_infer::Config config((bundle.path / program).string(), (bundle.path / "inference.pdiparams").string());
    config.DisableGlogInfo();
    config.SetCpuMathLibraryNumThreads(runtime.threads);
    set_onednn(config, runtime.backend == "onednn", 0);
    if (runtime.format == "json") read_json(config, runtime.backend == "native", 0);
    predictor_ = paddle_infer::CreatePredictor(config);
    // Formats name inputs and outputs differently; their order is the same.
    input_ = predictor_->GetInputHandle(predictor_->GetInputNames().at(0));
    output_ = predictor_->GetOutputHandle(predictor_->GetOutputNames().at(0));
  }

  Tensor run(const Tensor& images) {
    input_->Reshape(images.shape);
    input_->CopyFromCpu(images.values.data());
    if (!predictor_->Run()) throw std::runtime_error("Paddle Inference failed to run the network");
    Tensor logits{output_->shape(), {}};
    std::size_t count = 1;
    for (const int extent : logits.shape) count *= extent;
    logits.values.resize(count);
    output_->CopyToCpu(logits.values.data());
    return logits;
  }

 private:
  // Destroyed from the last to the first: the handles go before their predictor.
  std::shared_ptr<paddle_infer::Predictor> predictor_;
  std::unique_ptr<paddle_infer::Tensor> input_, output_;
};

}  // namespace ppresnet
