// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPU descriptor: running, state, run page.
 */
#include "ioctl.h"

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/sizes.h>

#include "vhm/apic.h"
#include "vhm/compat.h"
#include "vhm/cpuid.h"

/*
 * Commands that touch what the guest runs on belong to the creator's address space. A
 * thread that waits for a running vCPU gives way to a signal.
 */
static int lock_vcpu(struct vhm_vcpu *vcpu, bool wait)
{
	if (current->mm != vcpu->vm->mm)
		return -EPERM;
	if (READ_ONCE(vcpu->vm->dead))
		return -EIO;
	if (wait)
		return mutex_lock_interruptible(&vcpu->mutex);
	return mutex_trylock(&vcpu->mutex) ? 0 : -EBUSY;
}

/* Likewise, and its hardware state is loaded. */
static int begin(struct vhm_vcpu *vcpu, bool wait)
{
	int ret = lock_vcpu(vcpu, wait);

	if (!ret)
		vhm_vcpu_load(vcpu);
	return ret;
}

static void end(struct vhm_vcpu *vcpu)
{
	vhm_vcpu_unload(vcpu);
	mutex_unlock(&vcpu->mutex);
}

static long vcpu_run(struct file *file, void *arg, void __user *user)
{
	struct vhm_vcpu *vcpu = file->private_data;
	long ret = lock_vcpu(vcpu, true);

	if (ret)
		return ret;
	ret = vhm_vcpu_run(vcpu);
	mutex_unlock(&vcpu->mutex);
	return ret;
}

/* Any process that holds the descriptor may kick. */
static long vcpu_kick(struct file *file, void *arg, void __user *user)
{
	vhm_vcpu_request(file->private_data, VHM_REQ_KICK);
	return 0;
}

static long vcpu_nmi(struct file *file, void *arg, void __user *user)
{
	struct vhm_nmi *nmi = arg;

	if (nmi->flags)
		return -EINVAL;
	vhm_vcpu_nmi(file->private_data);
	return 0;
}

static long vcpu_set_cpuid(struct file *file, void *arg, void __user *user)
{
	struct vhm_vcpu *vcpu = file->private_data;
	struct vhm_cpuid *cpuid = arg;
	struct vhm_cpuid_entry *entries;
	long ret;

	if (cpuid->entry_count > VHM_MAX_CPUID_ENTRIES)
		return -EINVAL;
	entries = memdup_user(u64_to_user_ptr(cpuid->entries),
			      cpuid->entry_count * sizeof(*entries));
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	ret = begin(vcpu, true);
	if (!ret) {
		ret = vhm_cpuid_set(vcpu, entries, cpuid->entry_count);
		end(vcpu);
	}
	kfree(entries);
	return ret;
}

#define ALL_SECTIONS	GENMASK_ULL(VHM_SECTION_COUNT - 1, 1)

/* Between begin() and end(). */
static long get_state(struct vhm_vcpu *vcpu, struct vhm_state *state, void __user *user)
{
	u32 bytes = vhm_state_bytes(vcpu, state->sections);
	u64 room = state->buffer_bytes;
	void *buffer;
	long ret;

	state->buffer_bytes = bytes;
	ret = vhm_copy_back(user, state, sizeof(*state)) ?: room < bytes ? -ENOSPC : 0;
	if (ret)
		return ret;
	buffer = kvzalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	vhm_state_get(vcpu, state->sections, buffer);
	if (copy_to_user(u64_to_user_ptr(state->buffer), buffer, bytes))
		ret = -EFAULT;
	kvfree(buffer);
	return ret;
}

static long vcpu_get_state(struct file *file, void *arg, void __user *user)
{
	struct vhm_vcpu *vcpu = file->private_data;
	struct vhm_state *state = arg;
	long ret;

	if (state->flags || state->sections & ~ALL_SECTIONS || state->buffer & 7)
		return -EINVAL;
	ret = begin(vcpu, false);
	if (ret)
		return ret;
	ret = get_state(vcpu, state, user);
	end(vcpu);
	return ret;
}

#define STATE_BYTES_MAX	SZ_1M

static long vcpu_set_state(struct file *file, void *arg, void __user *user)
{
	struct vhm_vcpu *vcpu = file->private_data;
	struct vhm_state *state = arg;
	void *buffer;
	long ret;

	if (state->flags || state->sections || state->buffer & 7 ||
	    state->buffer_bytes > STATE_BYTES_MAX || state->buffer_bytes & 7)
		return -EINVAL;
	buffer = vmemdup_user(u64_to_user_ptr(state->buffer), state->buffer_bytes);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	ret = begin(vcpu, false);
	if (!ret) {
		ret = vhm_state_set(vcpu, buffer, state->buffer_bytes);
		end(vcpu);
	}
	kvfree(buffer);
	return ret;
}

static long vcpu_set_control(struct file *file, void *arg, void __user *user)
{
	struct vhm_vcpu *vcpu = file->private_data;
	long ret = begin(vcpu, false);

	if (ret)
		return ret;
	ret = vhm_backend->set_control(vcpu, arg);
	end(vcpu);
	return ret;
}

static long vcpu_apic_access(struct file *file, void *arg, void __user *user)
{
	struct vhm_vcpu *vcpu = file->private_data;
	struct vhm_apic_access *access = arg;
	bool write = access->flags & VHM_APIC_WRITE;
	long ret;

	if (access->flags & ~VHM_APIC_WRITE || access->offset & 15 || access->offset >= PAGE_SIZE)
		return -EINVAL;
	ret = begin(vcpu, true);
	if (ret)
		return ret;
	/* a register that does not exist reads as zero and ignores writes */
	if (write)
		vhm_apic_write(vcpu->apic, access->offset, access->value);
	else
		vhm_apic_read(vcpu->apic, access->offset, &access->value);
	end(vcpu);
	return write ? 0 : vhm_copy_back(user, access, sizeof(*access));
}

static long vcpu_get_stats(struct file *file, void *arg, void __user *user)
{
	struct vhm_vcpu *vcpu = file->private_data;
	struct vhm_stats *stats = arg;

	static_assert(ARRAY_SIZE(stats->count) >= VHM_STAT_COUNT);
	if (stats->flags)
		return -EINVAL;
	memset(stats->count, 0, sizeof(stats->count));
	for (u32 i = 0; i < VHM_STAT_COUNT; i++)
		stats->count[i] = READ_ONCE(vcpu->stats[i]);
	return vhm_copy_back(user, stats, sizeof(*stats));
}

static const struct vhm_command vcpu_commands[] = {
	VHM_COMMAND_NO_ARGUMENT(VHM_VCPU_RUN, vcpu_run),
	VHM_COMMAND_NO_ARGUMENT(VHM_VCPU_KICK, vcpu_kick),
	VHM_COMMAND(VHM_VCPU_GET_STATE, struct vhm_state, vcpu_get_state),
	VHM_COMMAND(VHM_VCPU_SET_STATE, struct vhm_state, vcpu_set_state),
	VHM_COMMAND(VHM_VCPU_NMI, struct vhm_nmi, vcpu_nmi),
	VHM_COMMAND(VHM_VCPU_APIC_ACCESS, struct vhm_apic_access, vcpu_apic_access),
	VHM_COMMAND(VHM_VCPU_GET_STATS, struct vhm_stats, vcpu_get_stats),
	VHM_COMMAND(VHM_VCPU_SET_CONTROL, struct vhm_vcpu_control, vcpu_set_control),
	VHM_COMMAND(VHM_VCPU_SET_CPUID, struct vhm_cpuid, vcpu_set_cpuid),
};

static long vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	/* what a VMM does all day need not look for its row */
	if (likely(cmd == VHM_VCPU_RUN && !arg))
		return vcpu_run(file, NULL, NULL);
	return vhm_dispatch(file, cmd, arg, vcpu_commands, ARRAY_SIZE(vcpu_commands));
}

/* The page is put into the mapping now and counted by it: it outlives the vCPU if need be. */
static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vhm_vcpu *vcpu = file->private_data;

	if (vma->vm_pgoff || vma_pages(vma) != 1 || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	vhm_vma_flags(vma, VM_DONTEXPAND | VM_DONTDUMP, VM_MAYEXEC);
	return vm_insert_page(vma, vma->vm_start, virt_to_page(vcpu->run));
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	const struct vhm_vcpu *vcpu = file->private_data;

	/* NULL: vhm_vcpu_open() failed before there was a vCPU */
	if (vcpu)
		vhm_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE, .mmap = vcpu_mmap, .release = vcpu_release,
	.unlocked_ioctl = vcpu_ioctl, .compat_ioctl = compat_ptr_ioctl,
};

/**
 * vhm_vcpu_open() - create a vCPU and its descriptor
 * @vm: the VM
 * @id: its id
 *
 * The descriptor is published last, after all that can fail.
 */
long vhm_vcpu_open(struct vhm_vm *vm, u32 id)
{
	struct vhm_vcpu *vcpu;
	struct file *file;
	int fd, ret;

	fd = get_unused_fd_flags(O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fd;
	/* the file first, so that nothing can fail once the vCPU exists */
	file = anon_inode_getfile("vhm-vcpu", &vcpu_fops, NULL, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	mutex_lock(&vm->lock);
	ret = vhm_vcpu_create(vm, id, &vcpu);
	mutex_unlock(&vm->lock);
	if (ret) {
		fput(file);
		put_unused_fd(fd);
		return ret;
	}
	vhm_vm_get(vm);
	file->private_data = vcpu;
	fd_install(fd, file);
	return fd;
}
