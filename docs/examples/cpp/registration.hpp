// How the background moves from frame to frame, by OpenCV's ECC alignment, and what a frame has
// more than frames of other times: the background features of the network.
#pragma once
#include <algorithm>
#include <array>
#include <opencv2/imgproc.hpp>
#include <opencv2/video/tracking.hpp>
#include <optional>

namespace stdet {
using cv::Mat, cv::Matx33d, cv::Point2d;

inline Point2d moved(const Matx33d& map, Point2d at) {
  const cv::Vec3d to = map * cv::Vec3d(at.x, at.y, 1);
  return Point2d(to[0], to[1]) / to[2];
}

inline double largest_displacement(const Matx33d& map, cv::Size size) {
  const double x = size.width, y = size.height;
  std::vector<Point2d> corners{{0, 0}, {x, 0}, {0, y}, {x, y}}, there;
  cv::perspectiveTransform(corners, there, map);
  return cv::norm(corners, there, cv::NORM_INF);
}

// Aligns each frame with a key frame, which is replaced before it is far away or long ago.
class CameraMotion {
  static constexpr double kLeastCorrelation = 0.5, kRestPx = 0.1, kKeyDistance = 0.2, kKeyAge = 30;

 public:
  // Maps the background from the frame before to this one; nothing at the start and at a cut.
  std::optional<Matx33d> push(const Mat& image) {
    Mat small;
    cv::GaussianBlur(image({0, 0, image.cols / 2 * 2, image.rows / 2 * 2}), small, {}, 1.0);
    cv::resize(small, small, image.size() / 2, 0, 0, cv::INTER_AREA);
    Matx33d map = step_ * last_;
    const bool is_known = !key_.empty() && align(small, map);
    const double distance = largest_displacement(map, image.size());
    if (!is_known || distance <= kRestPx) map = Matx33d::eye();
    step_ = is_known ? map * last_.inv() : map, last_ = map;
    const bool is_far = distance > kKeyDistance * std::min(image.rows, image.cols);
    if (!is_known || ++age_ >= kKeyAge || is_far) key_ = small, last_ = Matx33d::eye(), age_ = 0;
    return is_known ? std::optional(step_) : std::nullopt;
  }

 private:
  // Refines the map, in pixels, from the key frame to a frame of half the size.
  bool align(const Mat& small, Matx33d& map) const try {
    const Matx33d half(0.5, 0, -0.5, 0, 0.5, -0.5, 0, 0, 1);  // From pixels to indices of it.
    Matx33d matrix = half * map * half.inv();
    cv::Matx23f warp = matrix.get_minor<2, 3>(0, 0);
    const cv::TermCriteria until(cv::TermCriteria::COUNT + cv::TermCriteria::EPS, 50, 1e-7);
    const double correlation =
        cv::findTransformECC(key_, small, warp, cv::MOTION_AFFINE, until, cv::noArray(), 5);
    for (int i = 0; i < 6; ++i) matrix.val[i] = warp.val[i];
    map = half.inv() * matrix * half;
    return correlation >= kLeastCorrelation;
  } catch (const cv::Exception&) {  // It does not converge.
    return false;
  }

  Mat key_;
  Matx33d last_ = Matx33d::eye(), step_ = last_;  // To the newest from key frame, one before.
  int age_ = 0;
};

// What a frame has more than a reference frame, moved by the background's motion; 0 where that one
// does not show the scene. Brightness steps of the camera are taken off.
inline Mat difference(const Mat& image, const Mat& reference, const Matx33d& map) {
  const Matx33d back = map.inv();
  Mat found(image.size(), CV_32F), is_hidden(image.size(), CV_8U);
  std::vector<float> some;
  for (int row = 0; row < image.rows; ++row)
    for (int column = 0; column < image.cols; ++column) {
      const Point2d at = moved(back, {column + 0.5, row + 0.5}) - Point2d(0.5, 0.5);
      const double x = std::clamp(at.x, 0.0, image.cols - 1.0);
      const double y = std::clamp(at.y, 0.0, image.rows - 1.0);
      is_hidden.at<uchar>(row, column) = cv::norm(at - Point2d(x, y)) > 1.0 / 512;
      const int left = std::min(int(x), image.cols - 2), top = std::min(int(y), image.rows - 2);
      const float *above = reference.ptr<float>(top, left), *below = above + reference.step1();
      const double u = x - left, v = y - top;
      const double seen = (1 - v) * ((1 - u) * above[0] + u * above[1]) +
                          v * ((1 - u) * below[0] + u * below[1]);
      found.at<float>(row, column) = image.at<float>(row, column) - float(seen);
      if (row % 4 == 0 && column % 4 == 0) some.push_back(found.at<float>(row, column));
    }
  std::sort(some.begin(), some.end());
  found -= (some[(some.size() - 1) / 2] + some[some.size() / 2]) / 2;
  found.setTo(0, is_hidden);
  return found;
}

// The pixelwise median of an odd number of images.
inline Mat median_of(const std::vector<Mat>& images) {
  Mat all;
  cv::merge(images, all);
  cv::sort(all.reshape(1, int(all.total())), all, cv::SORT_EVERY_ROW + cv::SORT_ASCENDING);
  return all.col(all.cols / 2).clone().reshape(1, images[0].rows);
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

// Channels of the network at a fraction of the size, from an image and its two residuals: image,
// residual and its contrast, the image's own contrast, the other residual and its contrast.
inline std::vector<Mat> channels_of(std::vector<Mat> images, int times) {
  const cv::Size size = images[0].size() / times;
  for (Mat& image : images) cv::resize(image, image, size, 0, 0, cv::INTER_AREA);
  std::vector<Mat> contrasts;
  for (int k : {1, 2}) {
    const Mat &residual = images[size_t(k)], background = blurred(images[0] - residual);
    Mat slope_x, slope_y;
    cv::Sobel(background, slope_x, -1, 1, 0, 1, 0.5, 0, cv::BORDER_REPLICATE);
    cv::Sobel(background, slope_y, -1, 0, 1, 1, 0.5, 0, cv::BORDER_REPLICATE);
    for (int last : {0, size.width - 1}) slope_x.col(last) *= 2;
    for (int last : {0, size.height - 1}) slope_y.row(last) *= 2;
    // A registration error of 0.1 px leaves a tenth of the gradient.
    const Mat left = local_mean(slope_x.mul(slope_x) + slope_y.mul(slope_y), 5) * 0.01f;
    contrasts.push_back(local_contrast(residual, left));
  }
  const Mat own = local_contrast(images[0], Mat::zeros(size, CV_32F));
  return {images[0], images[1], contrasts[0], own, images[2], contrasts[1]};
}
}  // namespace stdet
