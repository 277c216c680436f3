// A folder's network in Paddle Lite's light API: float32 images in, logits out.
#pragma once

#include <paddle_api.h>

#include <algorithm>
#include <memory>
#include <string>

#include "board.hpp"
#include "errors.hpp"

namespace ppresnet {

struct Runtime {
  int threads = 1;
  // NO_BIND leaves the choice of cores to the system.
  paddle::lite_api::PowerMode power = paddle::lite_api::LITE_POWER_NO_BIND;
};

// Not thread-safe, like the predictor in it: one for each thread.
class Session {
 public:
  // Throws RequestError when this Lite cannot be trusted with the .nb.
  Session(const Board& board, const Runtime& runtime) {
    if (board.target.rfind("opencl", 0) == 0 && !paddle::lite_api::IsOpenCLBackendValid(false)) {
      throw RequestError("the .nb is for OpenCL, and this board or this build of Paddle Lite has none; convert for arm");
    }
    paddle::lite_api::MobileConfig config;
    config.set_model_from_file(board.model().string());
    config.set_threads(runtime.threads);
    config.set_power_mode(runtime.power);
    predictor_ = paddle::lite_api::CreatePaddlePredictor<paddle::lite_api::MobileConfig>(config);
    if (!predictor_) throw std::runtime_error("Paddle Lite could not load " + board.model().string());
    const std::string version = predictor_->GetVersion();
    if (version.find(board.lite_version) == std::string::npos) {
      throw RequestError("this is Paddle Lite " + version + ", and the .nb was written by " + board.lite_version +
                         "; an .nb runs with its own version only");
    }
  }

  Tensor run(const Tensor& images) {
    const auto input = predictor_->GetInput(0);
    input->Resize({images.shape.begin(), images.shape.end()});
    std::copy(images.values.begin(), images.values.end(), input->mutable_data<float>());
    predictor_->Run();
    const auto output = predictor_->GetOutput(0);
    const auto shape = output->shape();
    Tensor logits{{shape.begin(), shape.end()}, {}};
    std::size_t count = 1;
    for (const int extent : logits.shape) count *= extent;
    logits.values.assign(output->data<float>(), output->data<float>() + count);
    return logits;
  }

 private:
  std::shared_ptr<paddle::lite_api::PaddlePredictor> predictor_;
};

}  // namespace ppresnet
