// The network of an exported folder on a stream of frames: registration, features, both parts in
// OpenVINO at every scale, and boxes of their outputs.
#pragma once
#include <fstream>
#include <map>
#include <openvino/openvino.hpp>

#include "registration.hpp"

namespace stdet {
struct Detection {
  cv::Rect2f box;
  float score;
  int scale = 1;  // Pixels of the frame, along either side, that the network saw as one.
  Point2d centre() const { return (box.tl() + box.br()) / 2; }
  bool operator<(const Detection& other) const { return score > other.score; }
};
using Detections = std::vector<Detection>;

// Leaves out what is like a surer one that stays.
template <class AreAlike>
Detections without_repeats(Detections found, const AreAlike& are_alike) {
  Detections kept;
  std::stable_sort(found.begin(), found.end());
  for (const Detection& one : found) {
    const auto is_like = [&](const Detection& other) { return are_alike(one, other); };
    if (std::none_of(kept.begin(), kept.end(), is_like)) kept.push_back(one);
  }
  return kept;
}

// Whether one of two holds the centre of the other.
inline bool are_one_target(const Detection& one, const Detection& other) {
  const Point2d apart = one.centre() - other.centre();
  return 2 * std::abs(apart.x) < std::max(one.box.width, other.box.width) &&
         2 * std::abs(apart.y) < std::max(one.box.height, other.box.height);
}

// What a frame shows at several scales, which are independent witnesses of each target. The finest
// box that is nearly as sure as the best one stays, or several of that scale that lie apart.
inline Detections merged(Detections all) {
  std::stable_sort(all.begin(), all.end());
  Detections chosen;
  for (Detections left = all; !left.empty();) {
    const auto is_same = [best = left[0]](auto& one) { return are_one_target(one, best); };
    Detections finest;
    for (const Detection& one : left) {
      if (one.score < 0.8f * left[0].score || !is_same(one)) continue;
      if (!finest.empty() && one.scale < finest[0].scale) finest.clear();
      if (finest.empty() || one.scale == finest[0].scale) finest.push_back(one);
    }
    for (const Detection& one : without_repeats(finest, are_one_target)) chosen.push_back(one);
    left.erase(std::remove_if(left.begin(), left.end(), is_same), left.end());
  }
  for (Detection& target : chosen) {
    std::map<int, float> best;  // By scale, of which the surest one comes first.
    for (const Detection& one : all)
      if (are_one_target(one, target)) best.emplace(one.scale, one.score);
    float doubt = 1;
    for (const auto& [scale, score] : best) doubt *= 1 - score;
    target.score = 1 - doubt;
  }
  std::stable_sort(chosen.begin(), chosen.end());
  return chosen;
}

// What is found in a frame, the surest first; `from_previous` maps from the frame before to it.
struct DetectedFrame {
  Detections detections;
  std::optional<Matx33d> from_previous;
};

class Detector {
  static constexpr std::array<int, 5> kLags{4, 8, 12, 16, 20};  // To the reference frames.
  static constexpr int kLongLag = 24, kLongestLag = 120;        // To the long-term ones: of
  static constexpr int kKeptEvery = 12, kMaxClip = 9;           // 12 frames one is kept.

 public:
  explicit Detector(const std::string& folder) {
    std::ifstream file(folder + "/stdet.json");
    if (!file) throw std::runtime_error("no stdet.json in " + folder);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    // OpenCV 4 knows no null, which stands for a limit that there is not.
    for (size_t at; (at = text.find("null")) != text.npos;) text.replace(at, 4, "0");
    settings_.open(text, cv::FileStorage::READ | cv::FileStorage::MEMORY);
    num_channels_ = settings_["frame"]["input"]["channels"].size();
    bool is_known = num_channels_ == 4 || num_channels_ == 6;
    for (const auto& input : settings_["clip"]["inputs"])
      is_known &= int(input["frame"]) <= 0 && int(input["frame"]) > -kMaxClip;
    if (!is_known) throw std::runtime_error("expected 4 or 6 channels, and clips of 9 frames");
    ov::Core core;
    core.set_property("CPU", ov::inference_num_threads(1));
    core.set_property("CPU", ov::hint::inference_precision(ov::element::f32));  // Not bfloat16.
    auto frame_part = core.compile_model(folder + "/frame.onnx", "CPU");
    auto clip_part = core.compile_model(folder + "/clip.onnx", "CPU");
    for (const int times : settings_["scales"]) {
      scales_.push_back({times, {}, clip_part.create_infer_request()});
      for (auto& one : scales_.back().frames) one = frame_part.create_infer_request();
    }
  }

  double confidence() const { return settings_["postprocess"]["confidence"]; }

  // Takes the next frame, float32 in [0, 1]; returns those that have their reference frames now,
  // `flush` the others. `motion` maps the background from the frame before, where it is known.
  // Later frames replace those that would lie before the start or a cut: the first 40 wait.
  std::vector<DetectedFrame> push(const Mat& image, std::optional<Matx33d> motion) {
    std::vector<DetectedFrame> found;
    if (!motion) motion = camera_.push(image);
    if (!motion) found = flush(), images_.clear(), num_frames_ = next_ = 0;
    poses_[num_frames_] = num_frames_ ? *motion * poses_[num_frames_ - 1] : Matx33d::eye();
    images_[num_frames_++] = image;
    return num_frames_ < 2 * kLags.back() ? found : flush();
  }
  std::vector<DetectedFrame> flush() {
    std::vector<DetectedFrame> found;
    while (next_ < num_frames_) found.push_back(decide());
    return found;
  }

 private:
  struct Scale {
    int times;
    std::array<ov::InferRequest, kMaxClip> frames;  // Hold maps of the newest frames, by turns.
    ov::InferRequest clip;
    ov::InferRequest& frame(int index) { return frames[size_t(index) % frames.size()]; }
  };

  Matx33d map(int from, int to) const { return poses_.at(to) * poses_.at(from).inv(); }

  Mat residual(int index, const std::vector<int>& references) const {
    std::vector<Mat> differences;
    for (int other : references) {
      if (other >= num_frames_) other = index ? 0 : num_frames_ - 1;  // The video is short.
      differences.push_back(difference(images_.at(index), images_.at(other), map(other, index)));
    }
    return median_of(differences);
  }

  DetectedFrame decide() {
    const int index = next_++, longest = std::min(index, kLongestLag);
    std::vector<int> near, far;
    auto later = kLags.begin();
    for (int lag : kLags) near.push_back(lag <= index ? index - lag : index + *later++);
    for (int lag : {kLongLag, (kLongLag + longest) / 2, longest})
      far.push_back((index - lag) / kKeptEvery * kKeptEvery);
    const Mat image = images_.at(index), recent = residual(index, near);
    const Mat distant = index < kLongLag ? recent : residual(index, far);
    DetectedFrame found;
    for (Scale& scale : scales_) {
      run_frame(scale.frame(index), channels_of({image, recent, distant}, scale.times));
      for (const Detection& one : detections(scale, index)) found.detections.push_back(one);
    }
    if (scales_.size() > 1) found.detections = merged(found.detections);
    if (index) found.from_previous = map(index - 1, index);
    if ((index - kLags.back()) % kKeptEvery) images_.erase(index - kLags.back());
    const int oldest = index - kLongestLag - kKeptEvery;
    images_.erase(oldest), poses_.erase(oldest);
    return found;
  }

  void run_frame(ov::InferRequest& part, const std::vector<Mat>& channels) const {
    const int divisor = settings_["frame"]["input"]["size_divisor"];
    const int down = -channels[0].rows & (divisor - 1), right = -channels[0].cols & (divisor - 1);
    const int height = channels[0].rows + down, width = channels[0].cols + right;
    ov::Tensor input(ov::element::f32, {1, num_channels_, size_t(height), size_t(width)});
    for (size_t k = 0; k < num_channels_; ++k) {
      Mat padded(height, width, CV_32F, input.data<float>() + k * size_t(height * width));
      cv::copyMakeBorder(channels[k], padded, 0, down, 0, right, cv::BORDER_REPLICATE);
    }
    part.set_tensor("frame", input), part.infer();
  }

  Detections detections(Scale& scale, int index) const {
    for (const auto& input : settings_["clip"]["inputs"]) {
      const int back = std::min(-int(input["frame"]), index);  // The first is repeated.
      const std::string name = input["name"], map = input["map"];
      scale.clip.set_tensor(name, scale.frame(index - back).get_tensor(map));
    }
    scale.clip.infer();
    const ov::Tensor offsets = scale.clip.get_tensor("box_offsets");
    const size_t width = offsets.get_shape()[3], num = offsets.get_shape()[2] * width;
    const float *class_logits = scale.clip.get_tensor("cls_logits").data<float>(),
                *object_logits = scale.clip.get_tensor("obj_logits").data<float>(),
                *x = offsets.data<float>(), *y = x + num, *log_w = y + num, *log_h = log_w + num;
    const auto sigmoid = [](float logit) { return 1 / (1 + std::exp(-logit)); };
    const cv::FileNode limits = settings_["postprocess"];
    const float floor = limits["score_floor"], most_overlap = limits["nms_iou"];
    const cv::Size size = images_.at(index).size(), small = size / scale.times;
    const float stride = settings_["clip"]["feature_stride"];
    const float step_x = stride * float(size.width) / float(small.width);
    const float step_y = stride * float(size.height) / float(small.height);  // Pixels per cell.
    const cv::Rect2f frame({0, 0}, cv::Size2f(size));
    Detections found;
    for (size_t at = 0; at < num; ++at) {
      const float score = sigmoid(class_logits[at]) * sigmoid(object_logits[at]);
      if (score < floor) continue;
      const cv::Point2f centre((float(at % width) + 0.5f + x[at]) * step_x,
                               (float(at / width) + 0.5f + y[at]) * step_y);
      const cv::Point2f half(std::exp(log_w[at]) * step_x / 2, std::exp(log_h[at]) * step_y / 2);
      const cv::Rect2f box = cv::Rect2f(centre - half, centre + half) & frame;
      if (box.area() > 0) found.push_back({box, score, scale.times});
    }
    found = without_repeats(found, [&](const Detection& one, const Detection& other) {
      const float shared = (one.box & other.box).area();
      return shared > most_overlap * (one.box.area() + other.box.area() - shared);
    });
    found.resize(std::min(found.size(), size_t(int(limits["max_detections"]))));
    return found;
  }

  cv::FileStorage settings_;
  size_t num_channels_;
  std::vector<Scale> scales_;
  CameraMotion camera_;
  std::map<int, Mat> images_;     // By index since the start or the last cut.
  std::map<int, Matx33d> poses_;  // Map the background from the frame there.
  int num_frames_ = 0, next_ = 0;
};
}  // namespace stdet
