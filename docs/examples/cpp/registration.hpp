// Where the background of each frame lies in the scene, by OpenCV's ECC alignment, and what a
// frame has more than frames of other times: the background features of the network.
#pragma once
#include <algorithm>
#include <array>
#include <opencv2/imgproc.hpp>
#include <opencv2/video/tracking.hpp>

namespace stdet {
using cv::Mat, cv::Matx33d, cv::Point2d;

inline Point2d moved(const Matx33d& map, Point2d at) {
  const cv::Vec3d to = map * cv::Vec3d(at.x, at.y, 1);
  return Point2d(to[0], to[1]) / to[2];
}

inline double largest_displacement(const Matx33d& map, cv::Size size) {
  const double x = size.width, y = size.height;
  const std::vector<Point2d> corners{{0, 0}, {x, 0}, {0, y}, {x, y}};
  std::vector<Point2d> there;
  cv::perspectiveTransform(corners, there, map);
  return cv::norm(corners, there, cv::NORM_INF);
}

// Where a frame lies: runs are registered in themselves, `from_start` maps from their first frame.
struct Pose {
  int run = 0;
  Matx33d from_start = Matx33d::eye();
};

// Aligns each frame with a key frame, which is replaced before it is far away or long ago.
class CameraMotion {
  static constexpr double kLeastCorrelation = 0.5, kRestPx = 0.1, kKeyDistance = 0.2, kKeyAge = 30;

 public:
  Pose push(const Mat& image) {
    Mat small;
    cv::GaussianBlur(image({0, 0, image.cols / 2 * 2, image.rows / 2 * 2}), small, {}, 1.0);
    cv::resize(small, small, image.size() / 2, 0, 0, cv::INTER_AREA);
    const Matx33d guess = last_.from_start * key_pose_.from_start.inv();
    Pose pose = key_pose_;
    Matx33d map = step_ * guess;
    if (key_.empty() || !align(small, map)) {
      pose = {++num_runs_, Matx33d::eye()};  // The first frame, or a cut.
      step_ = Matx33d::eye();
    } else {
      if (largest_displacement(map, image.size()) <= kRestPx) map = Matx33d::eye();
      pose.from_start = map * key_pose_.from_start;
      const Point2d centre(image.cols / 2.0, image.rows / 2.0);
      const Point2d by = moved(map, centre) - moved(guess, centre);
      step_ = {1, 0, by.x, 0, 1, by.y, 0, 0, 1};
    }
    const bool is_far = largest_displacement(map, image.size()) >
                        kKeyDistance * std::min(image.rows, image.cols);
    if (pose.run != key_pose_.run || ++age_ >= kKeyAge || is_far)
      key_ = small, key_pose_ = pose, age_ = 0;
    return last_ = pose;
  }

 private:
  // Refines the map, in pixels, from the key frame to a frame of half the size.
  bool align(const Mat& small, Matx33d& map) const {
    const Matx33d half(0.5, 0, -0.5, 0, 0.5, -0.5, 0, 0, 1);  // From pixels to indices of it.
    Matx33d matrix = half * map * half.inv();
    cv::Matx23f warp = matrix.get_minor<2, 3>(0, 0);
    const cv::TermCriteria until(cv::TermCriteria::COUNT + cv::TermCriteria::EPS, 50, 1e-7);
    try {
      const double correlation =
          cv::findTransformECC(key_, small, warp, cv::MOTION_AFFINE, until, cv::noArray(), 5);
      for (int i = 0; i < 6; ++i) matrix.val[i] = warp.val[i];
      map = half.inv() * matrix * half;
      return correlation >= kLeastCorrelation;
    } catch (const cv::Exception&) {  // It does not converge.
      return false;
    }
  }

  Mat key_;
  Pose key_pose_, last_;
  Matx33d step_ = Matx33d::eye();  // Of the frame's centre, in the newest frame.
  int age_ = 0, num_runs_ = 0;
};

inline float median(std::vector<float> values) {
  const auto upper = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), upper, values.end());
  if (values.size() % 2) return *upper;
  return (*std::max_element(values.begin(), upper) + *upper) / 2;
}

// What a frame has more than a reference frame, moved by the background's motion; 0 where that one
// does not show the scene. Brightness steps of the camera are taken off.
inline Mat difference(const Mat& image, const Mat& reference, const Matx33d& map) {
  constexpr double kEdge = 1.0 / 512;
  const Matx33d back = map.inv();
  Mat found(image.size(), CV_32F), is_hidden(image.size(), CV_8U);
  std::vector<float> some;
  for (int row = 0; row < image.rows; ++row)
    for (int column = 0; column < image.cols; ++column) {
      const Point2d at = moved(back, {column + 0.5, row + 0.5}) - Point2d(0.5, 0.5);
      is_hidden.at<uchar>(row, column) = at.x < -kEdge || at.x > reference.cols - 1 + kEdge ||
                                         at.y < -kEdge || at.y > reference.rows - 1 + kEdge;
      const double x = std::clamp(at.x, 0.0, reference.cols - 1.0);
      const double y = std::clamp(at.y, 0.0, reference.rows - 1.0);
      const int left = int(x), right = std::min(left + 1, reference.cols - 1);
      const float *above = reference.ptr<float>(int(y)), *below = above;
      if (int(y) + 1 < reference.rows) below = reference.ptr<float>(int(y) + 1);
      const double u = x - left, v = y - int(y);
      const double seen = (1 - v) * ((1 - u) * above[left] + u * above[right]) +
                          v * ((1 - u) * below[left] + u * below[right]);
      found.at<float>(row, column) = image.at<float>(row, column) - float(seen);
      if (row % 4 == 0 && column % 4 == 0) some.push_back(found.at<float>(row, column));
    }
  found -= median(std::move(some));
  found.setTo(0, is_hidden);
  return found;
}

inline Mat blurred(const Mat& image) {
  Mat soft;
  cv::GaussianBlur(image, soft, {5, 5}, 0.7, 0.7, cv::BORDER_REPLICATE);
  return soft;
}

inline Mat local_mean(const Mat& image, int side) {
  Mat mean;
  cv::blur(image, mean, {side, side}, {-1, -1}, cv::BORDER_REPLICATE);
  return mean;
}

// How far each pixel stands out: smoothed, less the local mean, by the local root mean square.
inline Mat local_contrast(const Mat& image, const Mat& expected_power) {
  const Mat smooth = blurred(image) - local_mean(image, 17);
  Mat power = cv::max(local_mean(smooth.mul(smooth), 21), 0) + expected_power + 9e-6f, root;
  cv::sqrt(power, root);
  return smooth / root;
}

// The four channels of the network: image, residual, its contrast, and the image's own contrast.
inline std::array<Mat, 4> background_features(const Mat& image, const std::vector<Mat>& more) {
  Mat residual(image.size(), CV_32F), slope_x, slope_y;
  std::array<float, 5> values;
  for (int row = 0; row < image.rows; ++row)
    for (int column = 0; column < image.cols; ++column) {
      for (size_t k = 0; k < 5; ++k) values[k] = more[k].at<float>(row, column);
      std::nth_element(values.begin(), values.begin() + 2, values.end());
      residual.at<float>(row, column) = values[2];
    }
  const Mat background = blurred(image - residual);
  cv::Sobel(background, slope_x, -1, 1, 0, 1, 0.5, 0, cv::BORDER_REPLICATE);
  cv::Sobel(background, slope_y, -1, 0, 1, 1, 0.5, 0, cv::BORDER_REPLICATE);
  for (int last : {0, image.cols - 1}) slope_x.col(last) *= 2;
  for (int last : {0, image.rows - 1}) slope_y.row(last) *= 2;
  // A registration error of 0.1 px leaves a tenth of the gradient.
  const Mat left = local_mean(slope_x.mul(slope_x) + slope_y.mul(slope_y), 5) * 0.01f;
  return {image, residual, local_contrast(residual, left),
          local_contrast(image, Mat::zeros(image.size(), CV_32F))};
}
}  // namespace stdet
