// The network of an exported folder on a stream of frames: registration, features, both parts in
// OpenVINO, and boxes of their outputs.
#pragma once
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <openvino/openvino.hpp>
#include <optional>
#include <string>

#include "registration.hpp"

namespace stdet {
struct Detection {
  cv::Rect2f box;
  float score;
  Point2d centre() const { return (box.tl() + box.br()) / 2; }
};

// What is found in a frame, the surest first; `from_previous` maps from the frame before to it.
struct DetectedFrame {
  std::vector<Detection> detections;
  std::optional<Matx33d> from_previous;
};

class Detector {
  static constexpr std::array<int, 5> kLags{4, 8, 12, 16, 20};  // To the reference frames.

 public:
  explicit Detector(const std::filesystem::path& folder) {
    std::ifstream file(folder / "stdet.json");
    if (!file) throw std::runtime_error("no stdet.json in " + folder.string());
    std::string text{std::istreambuf_iterator<char>(file), {}};
    // OpenCV 4 knows no null, which stands for a limit that there is not.
    for (size_t at; (at = text.find("null")) != text.npos;) text.replace(at, 4, "0");
    settings_.open(text, cv::FileStorage::READ | cv::FileStorage::MEMORY);
    if (settings_["frame"]["input"]["channels"].size() != 4 || settings_["scales"].size() != 1)
      throw std::runtime_error("expected a network of four channels and one scale");
    ov::Core core;
    core.set_property("CPU", ov::inference_num_threads(1));
    core.set_property("CPU", ov::hint::inference_precision(ov::element::f32));  // Not bfloat16.
    const auto load = [&](const char* name) {
      return core.compile_model((folder / name).string(), "CPU").create_infer_request();
    };
    frame_part_ = load("frame.onnx"), clip_part_ = load("clip.onnx");
  }

  double confidence() const { return settings_["postprocess"]["confidence"]; }

  // Takes the next frame, float32 in [0, 1]; returns those that have their reference frames now,
  // `flush` the others. `motion` maps the background from the frame before, where it is known.
  std::vector<DetectedFrame> push(const Mat& image, const std::optional<Matx33d>& motion) {
    Pose pose = motion ? Pose{1, *motion * last_.from_start} : camera_.push(image);
    frames_.push_back({image, pose, pose.run == last_.run ? frames_.back().start : newest() + 1});
    last_ = pose;
    return decided(false);
  }
  std::vector<DetectedFrame> flush() { return decided(true); }

 private:
  struct Kept {
    Mat image;
    Pose pose;
    int start;  // First frame of its run.
  };
  using Maps = std::map<std::string, ov::Tensor>;

  const Kept& kept(int index) const { return frames_[size_t(index - first_)]; }
  int newest() const { return first_ + int(frames_.size()) - 1; }

  std::vector<DetectedFrame> decided(bool is_end) {
    std::vector<DetectedFrame> found;
    while (next_ <= newest() && (is_end || is_ready())) found.push_back(decide());
    return found;
  }

  // At the start of a run later frames replace the reference frames that lie before it.
  bool is_ready() const {
    const Kept& frame = kept(next_);
    size_t missing = 0;
    for (int lag : kLags) missing += lag > next_ - frame.start;
    const int awaited = missing ? kLags[missing - 1] : 0;
    return next_ + awaited <= newest() || frame.pose.run != last_.run;
  }

  static std::vector<int> reference_steps(int index, int last) {
    std::vector<int> chosen;
    for (int lag : kLags)
      if (lag <= index) chosen.push_back(-lag);
    for (size_t k = 0, missing = kLags.size() - chosen.size(); k < missing; ++k)
      if (index + kLags[k] <= last) chosen.push_back(kLags[k]);
    while (chosen.size() < kLags.size()) chosen.push_back(index ? -index : last);
    return chosen;
  }

  DetectedFrame decide() {
    const int index = next_++;
    const Kept& frame = kept(index);
    int last = newest();
    while (kept(last).pose.run != frame.pose.run) --last;
    std::vector<Mat> more;
    for (int step : reference_steps(index - frame.start, last - frame.start)) {
      const Kept& other = kept(index + step);
      const Matx33d map = frame.pose.from_start * other.pose.from_start.inv();
      more.push_back(difference(frame.image, other.image, map));
    }
    maps_.push_back(run_frame(background_features(frame.image, more)));
    if (maps_.size() > size_t(kLags.back())) maps_.pop_front();  // No clip reaches farther.
    DetectedFrame found{detections(index - frame.start, frame.image.size()), {}};
    if (index > frame.start)
      found.from_previous = frame.pose.from_start * kept(index - 1).pose.from_start.inv();
    for (; first_ < next_ - kLags.back(); ++first_) frames_.pop_front();
    return found;
  }

  Maps run_frame(const std::array<Mat, 4>& channels) {
    const int divisor = settings_["frame"]["input"]["size_divisor"];
    const cv::Size size = channels[0].size();
    const int down = -size.height & (divisor - 1), right = -size.width & (divisor - 1);
    const size_t height = size_t(size.height + down), width = size_t(size.width + right);
    ov::Tensor input(ov::element::f32, {1, channels.size(), height, width});
    for (size_t k = 0; k < channels.size(); ++k) {
      Mat padded(int(height), int(width), CV_32F, input.data<float>() + k * height * width);
      cv::copyMakeBorder(channels[k], padded, 0, down, 0, right, cv::BORDER_REPLICATE);
    }
    frame_part_.set_tensor("frame", input);
    frame_part_.infer();
    Maps maps;
    for (const std::string name : settings_["frame"]["outputs"]) {
      const ov::Tensor output = frame_part_.get_tensor(name);
      output.copy_to(maps[name] = ov::Tensor(output.get_element_type(), output.get_shape()));
    }
    return maps;
  }

  // Detections on the newest frame of the ring; `age` frames of its run lie before it.
  std::vector<Detection> detections(int age, cv::Size size) {
    for (const auto& input : settings_["clip"]["inputs"]) {
      const int back = std::min(-int(input["frame"]), age);  // The run's first frame is repeated.
      const Maps& maps = maps_[maps_.size() - 1 - size_t(back)];
      clip_part_.set_tensor(std::string(input["name"]), maps.at(input["map"]));
    }
    clip_part_.infer();
    const ov::Tensor offsets = clip_part_.get_tensor("box_offsets");
    const size_t width = offsets.get_shape()[3], num = offsets.get_shape()[2] * width;
    const float *class_logits = clip_part_.get_tensor("cls_logits").data<float>(),
                *object_logits = clip_part_.get_tensor("obj_logits").data<float>(),
                *x = offsets.data<float>(), *y = x + num, *log_w = y + num, *log_h = log_w + num;
    const auto sigmoid = [](float logit) { return 1 / (1 + std::exp(-logit)); };
    const float stride = settings_["clip"]["feature_stride"];
    const cv::FileNode limits = settings_["postprocess"];
    const float floor = limits["score_floor"], most_overlap = limits["nms_iou"];
    const cv::Rect2f frame({0, 0}, cv::Size2f(size));
    std::vector<Detection> found, kept;
    for (size_t at = 0; at < num; ++at) {
      const float score = sigmoid(class_logits[at]) * sigmoid(object_logits[at]);
      if (score < floor) continue;
      const cv::Point2f cell(float(at % width) + 0.5f, float(at / width) + 0.5f);
      const cv::Point2f centre = (cell + cv::Point2f(x[at], y[at])) * stride;
      const cv::Point2f half = cv::Point2f(std::exp(log_w[at]), std::exp(log_h[at])) * stride / 2;
      const cv::Rect2f box = cv::Rect2f(centre - half, centre + half) & frame;
      if (box.area() > 0) found.push_back({box, score});
    }
    const auto is_surer = [](const auto& a, const auto& b) { return a.score > b.score; };
    std::stable_sort(found.begin(), found.end(), is_surer);
    for (const Detection& one : found) {  // Leaves out what a surer one overlaps.
      const auto overlaps = [&](const Detection& other) {
        const float shared = (one.box & other.box).area();
        return shared > most_overlap * (one.box.area() + other.box.area() - shared);
      };
      if (int(kept.size()) == int(limits["max_detections"])) break;
      if (std::none_of(kept.begin(), kept.end(), overlaps)) kept.push_back(one);
    }
    return kept;
  }

  cv::FileStorage settings_;
  ov::InferRequest frame_part_, clip_part_;
  CameraMotion camera_;
  Pose last_;
  std::deque<Kept> frames_;
  std::deque<Maps> maps_;  // Of the newest frames.
  int first_ = 0, next_ = 0;
};
}  // namespace stdet
